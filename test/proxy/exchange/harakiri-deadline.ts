/** How long a request may take. */

import t from 'tap'
import { Exchange } from '../../../proxy/exchange/exchange.js'
import { harakiriMsOf, overrideHarakiri } from '../../../proxy/exchange/harakiri-deadline.js'

const RULES = {
  harakiriMs: 30,
  mountHarakiri: [
    { mount: '/api/reports/', ms: 300 },
    { mount: '/free/', ms: 0 },
    { mount: '/api/', ms: 60 },
  ],
}

function exchange(path: string, fields: Partial<Exchange> = {}): Exchange {
  const asked = { path, ownHarakiriMs: null, deadlineMs: 0, bodyComplete: true, responseBegun: false }
  return Object.assign(Object.create(Exchange.prototype), asked, fields) as Exchange
}

t.test('by path: whole segments, the longest', async t => {
  const cases: [path: string, ms: number][] = [
    ['/', 30],
    ['/apix', 30],
    ['/api', 60],
    ['/api/', 60],
    ['/api/reportsx', 60],
    ['/api/reports', 300],
    ['/api/reports/2026', 300],
    ['/free/x', 0],
  ]
  for (const [path, ms] of cases) t.equal(harakiriMsOf(exchange(path), RULES), ms, path)
  t.equal(harakiriMsOf(exchange('/api'), { ...RULES, mountHarakiri: [] }), 30)
  t.equal(harakiriMsOf(exchange('/api', { ownHarakiriMs: 7 }), RULES), 7, 'the application knows better')
})

t.test('the clock', async t => {
  const deadlineOf = (it: Exchange) => {
    it.startClock(RULES, 1000)
    return it.deadlineMs
  }
  t.equal(deadlineOf(exchange('/')), 1030)
  t.equal(deadlineOf(exchange('/free')), 0)
  t.equal(deadlineOf(exchange('/', { responseBegun: true })), 0)
})

t.test('an application that says what it needs', async t => {
  const cases: [title: string, it: Exchange, ms: number, deadlineMs: number][] = [
    ['more', exchange('/', { deadlineMs: 1030 }), 500, 1510],
    ['less', exchange('/', { deadlineMs: 1030 }), 5, 1015],
    ['no end', exchange('/', { deadlineMs: 1030 }), 0, 0],
    ['once it has begun to answer', exchange('/', { responseBegun: true }), 500, 0],
    ['while the request arrives', exchange('/', { bodyComplete: false }), 500, 0],
  ]
  for (const [title, it, ms, deadlineMs] of cases) {
    overrideHarakiri(it, ms, 1010)
    t.equal(it.deadlineMs, deadlineMs, title)
  }
  const arriving = exchange('/', { bodyComplete: false })
  overrideHarakiri(arriving, 500, 1010)
  arriving.startClock(RULES, 2000)
  t.equal(arriving.deadlineMs, 2500, 'from the last byte on')
})
