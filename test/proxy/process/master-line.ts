/** `proxy/process/master-line.ts`: how much a proxy tells, whatever happens to it, and what it leaves out while the master does not read. */

import t from 'tap'
import type { ProxyToMaster } from '../../../kit/channel/messages.js'
import { MasterLine } from '../../../proxy/process/master-line.js'
import { readProxyMessage } from '../../../supervisor/child/child-message.js'

function lineOf() {
  const sent: ProxyToMaster[] = []
  const channel = {
    waitingBytes: 0,
    send: (message: object) => {
      sent.push(message as ProxyToMaster)
      return true
    },
  }
  const clock = { ms: 0 }
  return { sent, channel, clock, line: new MasterLine(channel, () => clock.ms) }
}

const flood = { request: `GET /${'a'.repeat(65_000)}`, slot: 1, file: `/${'b'.repeat(8000)}`, why: 'no such file' }

t.test('a refused file for each request is some kilobytes, and messages that the master takes', t => {
  const { sent, clock, line } = lineOf()
  for (let left = 10_000; left > 0; left--) line.event('named-file-refused', flood)
  for (let left = 10_000; left > 0; left--) line.event('bad-answer', { request: flood.request, why: flood.file })
  t.ok(JSON.stringify(sent).length < 100_000, `${JSON.stringify(sent).length} bytes`)
  t.equal(sent.length, 100)
  clock.ms = 1000
  line.event('named-file-refused', flood)
  t.match(sent.at(-1), { event: 'named-file-refused', fields: { omitted: 9950, why: 'no such file' } })
  t.same(sent.map(readProxyMessage), sent)
  t.end()
})

t.test('every event of a proxy may say how many were left out', t => {
  const { sent, clock, line } = lineOf()
  const names = ['accept-trouble', 'accept-paused', 'accept-resumed', 'access-log-trouble', 'bad-answer'] as const
  const others = ['named-file-refused', 'request-harakiri', 'request-quarantined', 'signal-ignored'] as const
  for (const name of [...names, ...others, 'upstream-back', 'upstream-out'] as const) {
    clock.ms += 1e6
    for (let left = 51; left > 0; left--) line.event(name, {})
    clock.ms += 1000
    line.event(name, {})
    const last = sent.at(-1)
    t.match(last, { event: name, fields: { omitted: 1 } })
    t.equal(readProxyMessage(last), last, name)
  }
  t.end()
})

t.test('while the master does not read, events are counted in place of sent; what it has to know is sent', t => {
  const { sent, channel, clock, line } = lineOf()
  channel.waitingBytes = 5 * 1024 ** 2
  t.ok(line.isBehind)
  for (let left = 20; left > 0; left--) line.event('upstream-out', { why: 'refused' })
  t.same(sent, [])
  line.tell({ type: 'worker-drained', workerId: 1 })
  t.same(sent, [{ type: 'worker-drained', workerId: 1 }])
  channel.waitingBytes = 0
  clock.ms = 1
  line.event('upstream-out', { why: 'refused' })
  t.same(sent.at(-1), { type: 'event', event: 'upstream-out', fields: { why: 'refused', omitted: 20 } })
  t.end()
})
