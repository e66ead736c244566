/** The one error class, and how anything thrown is read. */

import t from 'tap'
import { codeOf, EXIT, Failure, reasonOf, stackOf } from '../../../kit/ground/failure.js'

t.test('a failure carries its code, its exit status and its cause', async t => {
  const cause = new Error('why')
  const plain = new Failure('no-files', 'cannot open: x: too many')
  t.match(plain, { code: 'no-files', exitCode: EXIT.software, message: 'cannot open: x: too many', name: 'Failure' })
  t.equal(plain.cause, undefined)
  t.notOk(Object.hasOwn(plain, 'cause'), 'no cause is printed where there is none')
  t.match(new Failure('bad-ini', 'm', EXIT.config, cause), { exitCode: 78, cause })
  t.ok(plain instanceof Error)
})

t.test('whatever was thrown has a reason and a code', async t => {
  const cases: [title: string, thrown: unknown, reason: string, code: string][] = [
    ['an error', new Error('m'), 'm', ''],
    ['a system error', Object.assign(new Error('m'), { code: 'ENOENT' }), 'm', 'ENOENT'],
    ['a failure', new Failure('c', 'm'), 'm', 'c'],
    ['a code that is no text', Object.assign(new Error('m'), { code: 5 }), 'm', ''],
    ['a string', 'text', 'text', ''],
    ['nothing', undefined, 'undefined', ''],
    ['null', null, 'null', ''],
    ['an object with a code', { code: 'ENOENT' }, '[object Object]', ''],
  ]
  for (const [title, thrown, reason, code] of cases) {
    t.equal(reasonOf(thrown), reason, title)
    t.equal(codeOf(thrown), code, title)
  }
})

t.test('whatever an application throws can be read', async t => {
  const throwing = () => {
    throw new Error('a trap')
  }
  const getters = { stack: { get: throwing }, message: { get: throwing }, code: { get: throwing } }
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const cases: [title: string, thrown: unknown, reason: RegExp, stack: RegExp][] = [
    ['an Error with a stack', new Error('m'), /^m$/, /^Error: m\n +at /],
    ['an Error with a number as its stack', Object.assign(new Error('m'), { stack: 5 }), /^m$/, /^m$/],
    ['an Error without a stack', Object.assign(new Error('m'), { stack: undefined }), /^m$/, /^m$/],
    ['an Error with a number as its message', Object.assign(new Error('m'), { message: 5 }), /^Error: .*$/, /^Error: /],
    ['an Error whose getters throw', Object.defineProperties(new Error('m'), getters), /^./, /^./],
    ['an object without a prototype', Object.assign(Object.create(null), { rice: 1 }), /rice: 1/, /rice: 1/],
    ['an object whose toString throws', { toString: throwing, rice: 1 }, /rice: 1/, /rice: 1/],
    ['a Proxy of an Error', new Proxy(new Error('m'), {}), /^m$/, /^Error: m/],
    ['a Proxy that throws', new Proxy({}, { get: throwing, getPrototypeOf: throwing, ownKeys: throwing }), /^./, /^./],
    ['a Proxy that was revoked', revoked.proxy, /^./, /^./],
    ['a symbol', Symbol('rice'), /^Symbol\(rice\)$/, /^Symbol\(rice\)$/],
  ]
  for (const [title, thrown, reason, stack] of cases) {
    t.match(reasonOf(thrown), reason, title)
    t.match(stackOf(thrown), stack, title)
    t.equal(typeof codeOf(thrown), 'string', title)
    t.equal(Failure.is(thrown), false, title)
  }
  t.equal(Failure.is(new Failure('c', 'm')), true)
})
