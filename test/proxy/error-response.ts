/** Every answer in the proxy's own name: status, fields, a small clear body, and nothing of the client's in it. */

import t from 'tap'
import { ERRORS, type ErrorCode, errorAnswer, refusalAnswer, titleOf } from '../../proxy/error-response.js'
import { REFUSALS } from '../../proxy/refusal.js'

t.test('each error has a status of its kind and a body that says it', async t => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const { status, source, retry } = ERRORS[code]
    const answer = errorAnswer(code)
    t.equal(answer.status, status, code)
    t.equal(status >= 500, source !== 'client', `${code}: ${source} is to blame for ${status}`)
    t.ok(source === 'upstream' || retry === 'never', `${code}: only what an upstream did is tried again`)
    t.match(answer.body, new RegExp(`^${status} [A-Z][^\\n]+: [a-z][^\\n]+\\n$|^499 Unknown: [^\\n]+\\n$`), code)
    t.same(answer.fields[0], ['Content-Type', 'text/plain; charset=utf-8'], code)
    t.equal(
      answer.fields.some(([name]) => name === 'Retry-After'),
      status === 503,
      `${code}: Retry-After with 503`,
    )
  }
})

t.test('fields of the caller stand between', async t => {
  t.same(errorAnswer('method-not-allowed', [['Allow', 'GET']]).fields, [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Allow', 'GET'],
  ])
})

t.test('a refusal carries its own status and reason', async t => {
  for (const refusal of Object.values(REFUSALS)) {
    t.match(refusalAnswer(refusal), { status: refusal.status, body: `${titleOf(refusal.status)}: ${refusal.reason}\n` })
  }
})

t.test('titles', async t => {
  const cases: [status: number, expected: string][] = [
    [200, '200 OK'],
    [431, '431 Request Header Fields Too Large'],
    [499, '499 Unknown'],
  ]
  for (const [status, expected] of cases) t.equal(titleOf(status), expected)
})
