/** What counts as a message of a child: `supervisor/child/child-message.ts`. */

import t from 'tap'
import { readProxyMessage, readWorkerMessage } from '../../../supervisor/child/child-message.js'

const accepted: [string, unknown][] = [
  ['ready', { type: 'ready', bootMs: 1 }],
  ['waiting', { type: 'waiting', bootMs: 1 }],
  ['load-wanted', { type: 'load-wanted' }],
  ['failed', { type: 'failed', reason: 'no', stack: '' }],
  ['metrics', { type: 'metrics', families: [] }],
  ['as many families as it may', { type: 'metrics', families: Array(4000).fill({ name: 'a' }) }],
  ['recycle', { type: 'recycle', reason: 'max-requests' }],
  ['utilization', { type: 'utilization', share: 0.5 }],
  ['event', { type: 'event', event: 'metrics-trouble', fields: { why: 'x' } }],
  ['another event', { type: 'event', event: 'autopsy-written', fields: { path: '/tmp/x', bytes: 1, tookMs: 2 } }],
]
const refused: [string, unknown][] = [
  ['what pm2 applications send', 'ready'],
  ['null', null],
  ['a number', 7],
  ['a list', [{ type: 'ready', bootMs: 1 }]],
  ['no type', { bootMs: 1 }],
  ['a type of every object', { type: 'constructor' }],
  ['another type', { type: 'listening' }],
  ['ready without a time', { type: 'ready' }],
  ['ready with another time', { type: 'ready', bootMs: 'soon' }],
  ['waiting without a time', { type: 'waiting' }],
  ['no families', { type: 'metrics', families: {} }],
  ['families that are zeros', { type: 'metrics', families: Array(4000).fill(0) }],
  ['one family that is null', { type: 'metrics', families: [{ name: 'a' }, null] }],
  ['a family that is a list', { type: 'metrics', families: [['a']] }],
  ['a family without a name', { type: 'metrics', families: [{}] }],
  ['a family whose name is an object', { type: 'metrics', families: [{ name: {} }] }],
  ['families without end', { type: 'metrics', families: Array(4001).fill({ name: 'a' }) }],
  ['another reason', { type: 'recycle', reason: 'boredom' }],
  ['a share that is none', { type: 'utilization', share: 1.5 }],
  ['a time before its birth', { type: 'ready', bootMs: -1 }],
  ['a time without end', { type: 'ready', bootMs: 1e300 }],
  ['a reason that is an object', { type: 'failed', reason: { toString: 1 }, stack: '' }],
  ['a stack that is a list', { type: 'failed', reason: 'no', stack: ['at'] }],
  ['a reason of a megabyte', { type: 'failed', reason: 'x'.repeat(1e6), stack: '' }],
  ['a stack of a megabyte', { type: 'failed', reason: 'no', stack: 'x'.repeat(1e6) }],
  ['that the master stops', { type: 'event', event: 'master-stopping', fields: {} }],
  ['that a reload begins', { type: 'event', event: 'reload-start', fields: {} }],
  ['that all stood still', { type: 'event', event: 'stood-still', fields: { stillMs: 1e9 } }],
  ['what a proxy says', { type: 'event', event: 'request-harakiri', fields: { request: 'GET /' } }],
  ['an event of every object', { type: 'event', event: 'toString', fields: {} }],
  ['another slot', { type: 'event', event: 'metrics-trouble', fields: { slot: 2, why: 'x' } }],
  ['another pid', { type: 'event', event: 'metrics-trouble', fields: { pid: 1 } }],
  ['a field of every object', { type: 'event', event: 'metrics-trouble', fields: { constructor: 'x' } }],
  ['a number for a text', { type: 'event', event: 'metrics-trouble', fields: { why: 1 } }],
  ['a text for a number', { type: 'event', event: 'autopsy-written', fields: { bytes: '1' } }],
  ['a text of a megabyte', { type: 'event', event: 'metrics-trouble', fields: { why: 'x'.repeat(1e6) } }],
  ['fields in a list', { type: 'event', event: 'metrics-trouble', fields: ['x'] }],
  ['an event name that forges a line', { type: 'event', event: 'x\nworker-exit', fields: {} }],
  ['a field name that forges a field', { type: 'event', event: 'metrics-trouble', fields: { 'a=1 b': 2 } }],
  ['a field that is no value', { type: 'event', event: 'metrics-trouble', fields: { why: {} } }],
  ['more than it has to say', { type: 'load-wanted', more: 1 }],
  ['a member of every object', JSON.parse('{"type":"ready","bootMs":1,"__proto__":{}}')],
  ['a member of another message', { type: 'recycle', reason: 'max-requests', share: 0.5 }],
  ['no fields', { type: 'event', event: 'metrics-trouble' }],
]
for (const [title, value] of accepted) {
  t.test(`a worker may say: ${title}`, t => {
    t.equal(readWorkerMessage(value), value)
    t.end()
  })
}
for (const [title, value] of refused) {
  t.test(`a worker may not say: ${title}`, t => {
    t.equal(readWorkerMessage(value), null)
    t.end()
  })
}

const load = { workerId: 1, requests: 1, inFlight: 0, lagMs: 0, answered: 1, failed: 0, waitedMs: 3 }
const loop = { request: 'GET /', elapsedMs: 1, at: '-', stack: 'none: no answer', inFlight: 1, others: '' }
const inFlight = { method: 'GET', path: '/', ageMs: 1.5, slot: 1 }
const blocked = { type: 'worker-blocked', workerId: 1, ...loop }
const proxies: [string, unknown, boolean][] = [
  ['listening', { type: 'listening' }, true],
  ['failed', { type: 'failed', reason: 'no' }, true],
  ['linked', { type: 'worker-linked', workerId: 1 }, true],
  ['drained', { type: 'worker-drained', workerId: 1 }, true],
  ['draining', { type: 'worker-draining', workerId: 1, requests: false, tunnels: true }, true],
  ['draining, and more', { type: 'worker-draining', workerId: 1, requests: false, tunnels: true, why: 'x' }, false],
  ['draining, of unknown things', { type: 'worker-draining', workerId: 1, requests: 1, tunnels: true }, false],
  ['blocked', blocked, true],
  ['a broken link', { type: 'link-broken', workerId: 1, why: 'it says hello twice' }, true],
  ['a broken link, at length', { type: 'link-broken', workerId: 1, why: 'x'.repeat(501) }, false],
  ['a broken link of nobody', { type: 'link-broken', why: '' }, false],
  ['a broken link, and no reason', { type: 'link-broken', workerId: 1, why: {} }, false],
  ['metrics', { type: 'metrics', families: [], workers: [load], queued: 0 }, true],
  ['metrics of no queue', { type: 'metrics', families: [], workers: [load] }, false],
  ['a worker is wanted', { type: 'worker-wanted' }, true],
  ['metrics wanted', { type: 'metrics-wanted', requestId: 1 }, true],
  ['linked with half a worker', { type: 'worker-linked', workerId: 1.5 }, false],
  ['linked with the one before', { type: 'worker-linked', workerId: -1 }, false],
  ['an event', { type: 'event', event: 'upstream-out', fields: { upstream: 'a:1', graceMs: 1 } }, true],
  ['how many events it left out', { type: 'event', event: 'bad-answer', fields: { omitted: 12 } }, true],
  ['that it left out no number', { type: 'event', event: 'bad-answer', fields: { omitted: 'x' } }, false],
  ['a target at length', { type: 'event', event: 'bad-answer', fields: { request: 'x'.repeat(301) } }, false],
  ['a file name at length', { type: 'event', event: 'named-file-refused', fields: { file: 'x'.repeat(301) } }, false],
  ['an event of the master', { type: 'event', event: 'master-stopping', fields: {} }, false],
  ['an event in the name of another', { type: 'event', event: 'upstream-back', fields: { proxy: 2 } }, false],
  ['a request of a megabyte', { ...blocked, request: 'x'.repeat(1e6) }, false],
  ['a load below nothing', { type: 'metrics', families: [], workers: [{ ...load, lagMs: -1 }], queued: 0 }, false],
  ['loads without end', { type: 'metrics', families: [], workers: Array(10_001).fill(load), queued: 0 }, false],
  ['requests without end', { type: 'in-flight', requestId: 1, requests: Array(21).fill(inFlight) }, false],
  ['requests', { type: 'in-flight', requestId: 1, requests: Array(20).fill(inFlight) }, true],
  ['linked with whom', { type: 'worker-linked' }, false],
  ['blocked by what', { ...blocked, request: undefined }, false],
  ['blocked where', { ...blocked, stack: 1 }, false],
  ['a load without a worker', { type: 'metrics', families: [], workers: [{ requests: 1 }] }, false],
  ['not a number', { type: 'metrics-wanted', requestId: Number.NaN }, false],
  ["a worker's message", { type: 'ready', bootMs: 1 }, false],
]
for (const [title, value, isFine] of proxies) {
  t.test(`a proxy ${isFine ? 'may' : 'may not'} say: ${title}`, t => {
    t.equal(readProxyMessage(value), isFine ? value : null)
    t.end()
  })
}
