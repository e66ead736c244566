/** Which path goes where. */

import t from 'tap'
import type { RouteSpec } from '../../../kit/channel/messages.js'
import { pathBelow, type Route, RouteTable } from '../../../proxy/route/route-table.js'

const SPECS: RouteSpec[] = [
  { kind: 'app', prefix: '/api' },
  { kind: 'static', prefix: '/', folder: '/www' },
  { kind: 'static', prefix: '/api/docs/', folder: '/docs' },
  { kind: 'metrics', prefix: '/api/v1/metrics' },
  { kind: 'app', prefix: '/api/docs' },
  { kind: 'app', prefix: '/shop//' },
]

t.test('the longest prefix of whole segments wins', async t => {
  const table = new RouteTable(SPECS)
  const cases: [path: string, expected: string][] = [
    ['/', 'static /'],
    ['/index.html', 'static /'],
    ['/api', 'app /api'],
    ['/api/', 'app /api'],
    ['/api/x', 'app /api'],
    ['/apix', 'static /'],
    ['/API', 'static /'],
    ['/api.', 'static /'],
    ['/api/docs', 'static /api/docs'],
    ['/api/docs/', 'static /api/docs'],
    ['/api/docs/a/b', 'static /api/docs'],
    ['/api/docsx', 'app /api'],
    ['/api/v1/metrics', 'metrics /api/v1/metrics'],
    ['/api/v1/metrics/x', 'metrics /api/v1/metrics'],
    ['/api/v1/metric', 'app /api'],
    ['/shop', 'app /shop'],
    ['/shop/x', 'app /shop'],
  ]
  for (const [path, expected] of cases) {
    const route = table.match(path)
    t.equal(`${route?.kind} ${route?.mount}`, expected, path)
  }
})

t.test('no route', async t => {
  const table = new RouteTable([{ kind: 'app', prefix: '/api' }])
  for (const path of ['/', '/ap', '/apii', '/x/api', '']) t.equal(table.match(path), null, JSON.stringify(path))
  t.equal(new RouteTable([]).match('/'), null)
})

t.test('the application behind a file that is not there', async t => {
  const table = new RouteTable(SPECS)
  const cases: [path: string, expected: string | undefined][] = [
    ['/api/docs/x', '/api/docs'],
    ['/api/v1/metrics', '/api'],
    ['/other', undefined],
  ]
  for (const [path, expected] of cases) t.equal(table.application(path)?.mount, expected, path)
})

t.test('foreign upstreams', async t => {
  const upstreams = [{ host: 'a', port: 1 }]
  const table = new RouteTable([
    { kind: 'app', prefix: '/' },
    { kind: 'upstream', prefix: '/legacy/', upstreams },
    { kind: 'static', prefix: '/legacy', folder: '/www' },
  ])
  t.match(table.match('/legacy/x'), { kind: 'static', mount: '/legacy' })
  t.match(table.application('/legacy/x'), { kind: 'upstream', mount: '/legacy', upstreams })
  t.match(table.match('/legacyx'), { kind: 'app', mount: '/' })
})

t.test('a target that readers disagree on goes where all of them would send it', async t => {
  const table = new RouteTable([
    { kind: 'app', prefix: '/' },
    { kind: 'app', prefix: '/api' },
    { kind: 'app', prefix: '/api/admin' },
    { kind: 'static', prefix: '/files', folder: '/srv' },
    { kind: 'app', prefix: '/files/app' },
    { kind: 'upstream', prefix: '/old', upstreams: [] },
    { kind: 'metrics', prefix: '/metrics' },
  ])
  for (const [target, expected] of [
    ['/@scope%2Fname', '/@scope%2Fname'],
    ['/api/a%2Fb?c', '/api/a%2Fb'],
    ['/old/a%2Fb', '/old/a%2Fb'],
    ['/api/admin/a%0Ab', '/api/admin/a\nb'],
    ['/api%2Fx', null],
    ['/api/admin%2Fx', null],
    ['/api%2Fadmin', null],
    ['/api/x%2F..%2Fadmin', null],
    ['/files/a%2Fb', null],
    ['/files%5Ca', null],
    ['/files/a%5Cb', '/files/a\\b'],
    ['/files/a%0Ab/%FF', '/files/a\nb/\udcff'],
    ['/files/..%5Cb', null],
    ['/files/a%00b', null],
    ['/files/sub%5Cb', '/files/sub\\b'],
    ['/files/app%5Cb', null],
    ['/metrics/%00', null],
    ['/api/%zz', null],
  ] as const) {
    t.equal(table.agreedPath(target), expected, target)
  }
  t.equal(new RouteTable([]).agreedPath('/a%2Fb'), '/a%2Fb', 'no route, to all of them')
})

t.test('the order of the specs does not matter', async t => {
  const paths = ['/', '/api', '/api/docs', '/api/docs/x', '/api/v1/metrics', '/shop/x']
  const [one, other] = [new RouteTable(SPECS), new RouteTable([...SPECS].reverse())]
  for (const path of paths) t.same(one.match(path), other.match(path), path)
})

t.test('the path below a mount', async t => {
  const cases: [mount: string, path: string, expected: string][] = [
    ['/', '/a/b', '/a/b'],
    ['/', '/', '/'],
    ['/static', '/static', '/'],
    ['/static', '/static/', '/'],
    ['/static', '/static/a/b', '/a/b'],
  ]
  for (const [mount, path, expected] of cases) {
    const route: Route = { kind: 'static', mount, folder: '/f', keepsMount: false, upstreams: [] }
    t.equal(pathBelow(route, path), expected, `${mount} ${path}`)
    t.equal(pathBelow({ ...route, keepsMount: true }, path), path, `${mount} ${path}, which keeps its mount`)
  }
})
