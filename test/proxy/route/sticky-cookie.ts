/** The sticky cookie: what stands in it, how it is found among others, and when it is set. */

import t from 'tap'
import { isRefusal, parseRequestHead } from '../../../proxy/http/request-head.js'
import { cookieValue, slotToken, stickyLine } from '../../../proxy/route/sticky-cookie.js'

function headOf(...cookies: string[]) {
  const lines = ['GET / HTTP/1.1', 'Host: a', ...cookies.map(cookie => `Cookie: ${cookie}`)]
  const head = parseRequestHead(lines.join('\r\n'))
  if (isRefusal(head)) throw new Error(head.refused)
  return head
}

t.test('finds the cookie', async t => {
  const cases: [cookies: string[], expected: string | null][] = [
    [[], null],
    [['w=1'], '1'],
    [['a=b; w=1; c=d'], '1'],
    [['a=b;w=1'], '1'],
    [['a=b', 'w=1'], '1'],
    [['w=1; w=2'], '1'],
    [['ww=1; xw=2; W=3'], null],
    [['w'], null],
    [['a=w=1'], null],
    [['w='], ''],
  ]
  for (const [cookies, expected] of cases) t.equal(cookieValue(headOf(...cookies), 'w'), expected, cookies.join(' | '))
})

t.test('a token tells the slot to us alone, and is the same tomorrow', async t => {
  t.match(slotToken('w', 1), /^[\w-]{16}$/)
  t.equal(slotToken('w', 1), slotToken('w', 1))
  t.equal(new Set([1, 2, 3].flatMap(slot => [slotToken('w', slot), slotToken('v', slot)])).size, 6)
})

t.test('is set where it does not say so already', async t => {
  const token = slotToken('w', 2)
  t.equal(stickyLine(headOf(), 'w', 2, false), `Set-Cookie: w=${token}; Path=/; HttpOnly; SameSite=Lax\r\n`)
  t.equal(stickyLine(headOf(), 'w', 2, true), `Set-Cookie: w=${token}; Path=/; HttpOnly; SameSite=Lax; Secure\r\n`)
  t.equal(stickyLine(headOf(`w=${token}`), 'w', 2, false), '')
  t.not(stickyLine(headOf(`w=${slotToken('w', 1)}`), 'w', 2, false), '')
  t.not(stickyLine(headOf('w=made-up'), 'w', 2, false), '')
})
