/** Every answer in the proxy's own name: status, fields, a small clear body, and nothing of the client's in it. */

import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import {
  ERRORS,
  type ErrorCode,
  errorResponse,
  printResponse,
  refusalResponse,
  titleOf,
} from '../../../proxy/http/error-response.js'
import { REFUSALS } from '../../../proxy/http/refusal.js'

t.test('each error has a status of its kind and a body that says it', async t => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const [status] = ERRORS[code]
    const answer = errorResponse(code)
    t.equal(answer.status, status, code)
    t.match(answer.body, new RegExp(`^${status} [A-Z][^\\n]+: [a-z][^\\n]+\\n$`), code)
    t.same(answer.fields[0], ['Content-Type', 'text/plain; charset=utf-8'], code)
    t.equal(
      answer.fields.some(([name]) => name === 'Retry-After'),
      status === 503,
      `${code}: Retry-After with 503`,
    )
  }
})

t.test('each error is given somewhere', async t => {
  const folder = new URL('../../../proxy/', import.meta.url)
  const files = readdirSync(folder, { encoding: 'utf8', recursive: true }).filter(
    name => name.endsWith('.js') && name !== 'http/error-response.js',
  )
  const texts = files.map(name => readFileSync(new URL(name, folder), 'utf8')).join('')
  for (const code of Object.keys(ERRORS)) t.ok(texts.includes(`'${code}'`), code)
})

t.test('fields of the caller stand between', async t => {
  t.same(errorResponse('method-not-allowed', [['Allow', 'GET']]).fields, [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Allow', 'GET'],
  ])
})

t.test('a refusal carries its own status and reason', async t => {
  for (const refusal of Object.values(REFUSALS)) {
    t.match(refusalResponse(refusal), {
      status: refusal.status,
      body: `${titleOf(refusal.status)}: ${refusal.reason}\n`,
    })
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

t.test('an answer of the proxy itself', async t => {
  const cases: [title: string, close: boolean, headOnly: boolean, expected: RegExp][] = [
    ['stays', false, false, /\r\nConnection: keep-alive\r\n\r\n404 Not Found: nothing is here\n$/],
    ['ends', true, false, /\r\nConnection: close\r\n\r\n404 Not Found: nothing is here\n$/],
    ['to a HEAD', true, true, /\r\nConnection: close\r\n\r\n$/],
  ]
  for (const [title, close, headOnly, expected] of cases) {
    const text = printResponse(errorResponse('not-found'), close, headOnly)
    t.match(text, /^HTTP\/1\.1 404 Not Found\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/, title)
    t.match(text, /\r\nContent-Length: 31\r\n/, title)
    t.match(text, expected, title)
  }
  const text = printResponse({ status: 200, fields: [], body: 'caf\u00e9 \u2713' }, false, false)
  t.match(Buffer.from(text, 'latin1').toString(), /Content-Length: 9\r\n[\s\S]*\r\n\r\ncaf\u00e9 \u2713$/, 'in UTF-8')
})
