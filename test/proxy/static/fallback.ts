/** Who gets the page of a single-page application, and where it lies. */

import t from 'tap'
import { isRefusal, parseRequestHead } from '../../../proxy/http/request-head.js'
import { RouteTable } from '../../../proxy/route/route-table.js'
import { fallbackPlaces, isNavigation } from '../../../proxy/static/fallback.js'

function head(fields: string, method = 'GET') {
  const parsed = parseRequestHead(`${method} /x HTTP/1.1\r\nHost: a${fields === '' ? '' : `\r\n${fields}`}`)
  if (isRefusal(parsed)) throw new Error(parsed.reason)
  return parsed
}

t.test('what is a navigation', async t => {
  const cases: [title: string, fields: string, expected: boolean, method?: string][] = [
    ['a browser', 'Sec-Fetch-Mode: navigate\r\nAccept: text/html,*/*;q=0.8', true],
    ['the mode alone', 'Sec-Fetch-Mode: navigate', true],
    ['an old browser', 'Accept: text/html,application/xhtml+xml,*/*;q=0.8', true],
    ['HTML not first', 'Accept: image/png, text/html;q=0.1', true],
    ['HEAD', 'Accept: text/html', true, 'HEAD'],
    ['POST', 'Accept: text/html', false, 'POST'],
    ['a script', 'Sec-Fetch-Mode: no-cors\r\nAccept: */*', false],
    ['fetch that accepts HTML', 'Sec-Fetch-Mode: cors\r\nAccept: text/html', false],
    ['anything', 'Accept: */*', false],
    ['JSON', 'Accept: application/json', false],
    ['a type that begins so', 'Accept: text/html5', false],
    ['nothing said', '', false],
  ]
  for (const [title, fields, expected, method] of cases) t.equal(isNavigation(head(fields, method)), expected, title)
})

t.test('where the page lies', async t => {
  const routes = new RouteTable([
    { kind: 'static', prefix: '/admin', folder: '/www/admin' },
    { kind: 'static', prefix: '/kept', folder: '/www', keepsMount: true },
    { kind: 'app', prefix: '/api' },
  ])
  const staticFallback = [
    { mount: '/', path: '/index.html' },
    { mount: '/admin', path: '/admin/start.html' },
    { mount: '/kept', path: '/kept/index.html' },
  ]
  const settings = { checkStatic: ['/one', '/two'], staticFallback }
  const cases: [path: string, expected: [folder: string, path: string][]][] = [
    [
      '/',
      [
        ['/one', '/index.html'],
        ['/two', '/index.html'],
      ],
    ],
    [
      '/users/7',
      [
        ['/one', '/index.html'],
        ['/two', '/index.html'],
      ],
    ],
    ['/admin', [['/www/admin', '/start.html']]],
    ['/admin/users', [['/www/admin', '/start.html']]],
    [
      '/administrators',
      [
        ['/one', '/index.html'],
        ['/two', '/index.html'],
      ],
    ],
    ['/kept/x', [['/www', '/kept/index.html']]],
  ]
  const browser = head('Accept: text/html')
  for (const [path, expected] of cases) {
    const places = fallbackPlaces(settings, routes, path, browser)
    t.same(
      places,
      expected.map(([folder, path]) => ({ folder, path })),
      path,
    )
  }
  t.same(fallbackPlaces(settings, routes, '/', head('Accept: */*')), [], 'no navigation')
  t.same(fallbackPlaces({ ...settings, staticFallback: [] }, routes, '/', browser), [], 'no fallback')
})
