/** What children take of their master: `kit/channel/messages.ts`. */

import t from 'tap'
import { readMessageToProxy, readMessageToWorker } from '../../../kit/channel/messages.js'

const worker = { workerId: 1, linkPath: '/l', tunnelPath: '/t' }
const cases: [title: string, read: (value: unknown) => unknown, value: unknown, isTaken: boolean][] = [
  ['a worker is configured', readMessageToWorker, { type: 'configure', settings: {} }, true],
  ['with nothing', readMessageToWorker, { type: 'configure' }, false],
  ['it loads', readMessageToWorker, { type: 'load' }, true],
  ['and hears what it does not know of', readMessageToWorker, { type: 'load', later: true }, true],
  ['a farewell', readMessageToWorker, { type: 'farewell', mercyMs: 1, stream: null }, true],
  ['a farewell of other streams', readMessageToWorker, { type: 'farewell', mercyMs: 1, stream: 'all' }, false],
  ['a stop', readMessageToWorker, { type: 'stop', mercyMs: 1, snapshotPath: null }, true],
  ['a stop whenever', readMessageToWorker, { type: 'stop', snapshotPath: null }, false],
  ['what a later master says', readMessageToWorker, { type: 'sleep' }, false],
  ['what every object has', readMessageToWorker, { type: 'constructor' }, false],
  ['null', readMessageToWorker, null, false],
  ['a list', readMessageToWorker, [{ type: 'load' }], false],
  ['text', readMessageToProxy, 'drain', false],
  ['a proxy is configured', readMessageToProxy, { type: 'configure', proxyId: 1, listeners: [], settings: {} }, true],
  ['without listeners', readMessageToProxy, { type: 'configure', proxyId: 1, settings: {} }, false],
  ['a worker for a proxy', readMessageToProxy, { type: 'worker-ready', worker }, true],
  ['half a worker', readMessageToProxy, { type: 'worker-ready', worker: { workerId: 1 } }, false],
  ['one that retires', readMessageToProxy, { type: 'worker-retire', workerId: 1, tunnelMs: 1 }, true],
  ['one that is gone', readMessageToProxy, { type: 'worker-gone', workerId: 1, end: 'asked' }, true],
  ['a pause', readMessageToProxy, { type: 'pause', isPaused: 1 }, false],
  ['a page', readMessageToProxy, { type: 'metrics', requestId: 1, text: 'x 1' }, true],
  ['a page of something else', readMessageToProxy, { type: 'metrics', requestId: 1, text: {} }, false],
]
for (const [title, read, value, isTaken] of cases) {
  t.test(title, async t => {
    t.equal(read(value), isTaken ? value : null)
  })
}
