/** The one error class, and how anything thrown is read. */

import t from 'tap'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/failure.js'

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
