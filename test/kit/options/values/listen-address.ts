/** Tests of listen addresses as operators write them. */

import t from 'tap'
import {
  isPrivateAddress,
  parseListenAddress,
  printListenAddress,
} from '../../../../kit/options/values/listen-address.js'
import type { ListenAddress } from '../../../../kit/options/values/value-types.js'

const tcp = (host: string, port: number): ListenAddress => ({ kind: 'tcp', host, port })
const unix = (path: string): ListenAddress => ({ kind: 'unix', path })

const accepted: [text: string, expected: ListenAddress, printed: string][] = [
  [':44444', tcp('0.0.0.0', 44444), '0.0.0.0:44444'],
  ['*:80', tcp('0.0.0.0', 80), '0.0.0.0:80'],
  ['127.0.0.1:44444', tcp('127.0.0.1', 44444), '127.0.0.1:44444'],
  ['127.0.0.1:0', tcp('127.0.0.1', 0), '127.0.0.1:0'],
  ['[::1]:44444', tcp('::1', 44444), '[::1]:44444'],
  ['[::]:65535', tcp('::', 65535), '[::]:65535'],
  ['localhost:8080', tcp('localhost', 8080), 'localhost:8080'],
  ['www.example.org:80', tcp('www.example.org', 80), 'www.example.org:80'],
  ['fd://web', { kind: 'passed', name: 'web' }, 'fd://web'],
  ['fd://3', { kind: 'passed', name: '3' }, 'fd://3'],
  ['fd://site@eu.socket', { kind: 'passed', name: 'site@eu.socket' }, 'fd://site@eu.socket'],
  ['/run/x.sock', unix('/run/x.sock'), '/run/x.sock'],
  ['./x.sock', unix('/srv/x.sock'), '/srv/x.sock'],
  ['a/../x:1.sock', unix('/srv/x:1.sock'), '/srv/x:1.sock'],
  [`/${'a'.repeat(106)}`, unix(`/${'a'.repeat(106)}`), `/${'a'.repeat(106)}`],
]
for (const [text, value, printed] of accepted) {
  t.test(`accepts ${text}`, async t => {
    t.same(parseListenAddress(text, '/srv'), { ok: true, value })
    t.equal(printListenAddress(value), printed)
  })
}

const refused: [text: string, hint: string | null][] = [
  ['', null],
  ['8080', ':8080'],
  ['127.0.0.1', null],
  ['127.0.0.1:', null],
  ['127.0.0.1:65536', null],
  ['127.0.0.1:-1', null],
  ['127.0.0.1:8o', null],
  ['256.0.0.1:80', null],
  ['127.1:80', null],
  ['::1:8080', '[::1]:8080'],
  ['[::1]', null],
  ['[127.0.0.1]:80', null],
  ['http://127.0.0.1:8080/', '127.0.0.1:8080'],
  ['a b:80', null],
  ['-x:80', null],
  ['x.sock', './x.sock'],
  ['@abstract', null],
  ['fd://', null],
  ['fd://a:b', null],
  ['fd://a/b', null],
  ['fd://a b', null],
  ['/run/', null],
  [`/${'a'.repeat(107)}`, null],
]
for (const [text, hint] of refused) {
  t.test(`refuses ${text || 'nothing'}`, async t => t.same(parseListenAddress(text, '/srv'), { ok: false, hint }))
}

const privates: [address: ListenAddress, isPrivate: boolean][] = [
  [tcp('127.0.0.1', 1), true],
  [tcp('127.9.9.9', 1), true],
  [{ kind: 'passed', name: 'web' }, false],
  [tcp('::1', 1), true],
  [tcp('localhost', 1), true],
  [unix('/x'), true],
  [tcp('0.0.0.0', 1), false],
  [tcp('::', 1), false],
  [tcp('10.0.0.1', 1), false],
]
for (const [address, isPrivate] of privates) {
  t.equal(isPrivateAddress(address), isPrivate, printListenAddress(address))
}
