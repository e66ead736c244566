/** Socket activation: `supervisor/listen/inherited-sockets.ts`. */

import t from 'tap'
import type { BoundAddress } from '../../../kit/options/values/value-types.js'
import { inheritedDescriptors, isSameAddress, unixNameOf } from '../../../supervisor/listen/inherited-sockets.js'

const environments: [string, NodeJS.ProcessEnv, [fd: number, name: string][]][] = [
  ['none', {}, []],
  [
    'two for us',
    { LISTEN_PID: '7', LISTEN_FDS: '2' },
    [
      [3, 'unknown'],
      [4, 'unknown'],
    ],
  ],
  [
    'with names',
    { LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'web::site.socket' },
    [
      [3, 'web'],
      [4, 'unknown'],
      [5, 'site.socket'],
    ],
  ],
  ['for another process', { LISTEN_PID: '8', LISTEN_FDS: '2' }, []],
  ['for nobody', { LISTEN_FDS: '2' }, []],
  ['no number', { LISTEN_PID: '7', LISTEN_FDS: 'x' }, []],
  ['a fraction', { LISTEN_PID: '7', LISTEN_FDS: '1.5' }, []],
  ['fewer than none', { LISTEN_PID: '7', LISTEN_FDS: '-1' }, []],
  ['far too many', { LISTEN_PID: '7', LISTEN_FDS: '1000000' }, []],
]
for (const [title, environment, expected] of environments) {
  t.test(`descriptors: ${title}`, t => {
    const found = inheritedDescriptors(environment, 7)
    t.same(
      found.map(({ fd, name }) => [fd, name]),
      expected,
    )
    t.end()
  })
}

const tcp = (host: string, port: number): BoundAddress => ({ kind: 'tcp', host, port })
const unix = (path: string): BoundAddress => ({ kind: 'unix', path })
const pairs: [string, BoundAddress, BoundAddress, boolean][] = [
  ['the same', tcp('127.0.0.1', 80), tcp('127.0.0.1', 80), true],
  ['another port', tcp('127.0.0.1', 80), tcp('127.0.0.1', 81), false],
  ['another host', tcp('127.0.0.1', 80), tcp('::1', 80), false],
  ['all addresses in two ways', tcp('', 80), tcp('::', 80), true],
  ['one of all', tcp('127.0.0.1', 80), tcp('::', 80), false],
  ['the same path', unix('/a'), unix('/a'), true],
  ['another path', unix('/a'), unix('/b'), false],
  ['tcp and unix', tcp('', 80), unix('/a'), false],
  ['unix and tcp', unix('/a'), tcp('', 80), false],
]
for (const [title, configured, inherited, expected] of pairs) {
  t.test(`same address: ${title}`, t => {
    t.equal(isSameAddress(configured, inherited), expected)
    t.end()
  })
}

const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 18540 /run/a b.sock
0000000000000000: 00000002 00000000 00010000 0001 01 18541 @abstract
0000000000000000: 00000003 00000000 00000000 0001 03   185
`
const inodes: [string, string, string | null][] = [
  ['a path with a space', '18540', '/run/a b.sock'],
  ['an abstract one', '18541', null],
  ['one without a name', '185', null],
  ['an unknown one', '1', null],
]
for (const [title, inode, expected] of inodes) {
  t.test(`unix path: ${title}`, t => {
    t.same(unixNameOf(inode, table), { address: expected === null ? null : { kind: 'unix', path: expected } })
    t.end()
  })
}

t.test('a row that somebody forges behind a path with a line feed is one claim', async t => {
  const real = '0000000000000000: 00000002 00000000 00010000 0001 01 4711'
  const forged = `0000000000000001: 00000002 00000000 00010000 0001 01 4712 /tmp/x\n${real} /run/site.sock`
  const claims = ['/run/site.sock', '/run/other.sock']
  t.same(unixNameOf('4711', `${forged}\n${real} /run/other.sock`), { address: null, claims })
  t.same(
    unixNameOf('4711', `${forged}\n${real}`),
    { address: null, claims: ['/run/site.sock'] },
    'the real one has no path',
  )
  t.same(unixNameOf('4712', forged), { address: { kind: 'unix', path: '/tmp/x' } })
})
