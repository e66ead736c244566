/** When connections to workers that are gone are ended: `proxy/tunnel/abandoned-sockets.ts`. */

import type { Socket } from 'node:net'
import t from 'tap'
import { AbandonedSockets } from '../../../proxy/tunnel/abandoned-sockets.js'

/** What has been read of it, and whether its client holds it up, at the sweep of that time. */
type Look = [nowMs: number, readBytes: number, isPaused: boolean]

const cases: [title: string, looks: Look[], endedAtMs: number | null][] = [
  [
    'silent',
    [
      [0, 0, false],
      [999, 0, false],
      [1000, 0, false],
      [1100, 0, false],
    ],
    1100,
  ],
  [
    'still read',
    [
      [1000, 1, false],
      [1100, 2, false],
      [1200, 2, false],
    ],
    1200,
  ],
  [
    'held up by its client',
    [
      [1000, 1, true],
      [1100, 1, true],
      [9000, 1, true],
    ],
    null,
  ],
  [
    'held up until just now',
    [
      [1000, 1, true],
      [1100, 1, false],
      [1200, 1, false],
    ],
    1200,
  ],
  [
    'held up for too long',
    [
      [1000, 1, true],
      [59_999, 1, true],
      [60_000, 1, true],
    ],
    60_000,
  ],
  [
    'talkative for too long',
    [
      [1000, 1, false],
      [59_999, 2, false],
      [60_000, 3, false],
    ],
    60_000,
  ],
]
for (const [title, looks, expected] of cases) {
  t.test(title, t => {
    let endedAtMs: number | null = null
    const sockets = new AbandonedSockets()
    const socket = { destroyed: false, bytesRead: 0, isPaused: () => false, destroy: () => {} }
    sockets.add(socket as unknown as Socket, 0)
    for (const [nowMs, bytesRead, isPaused] of looks) {
      Object.assign(socket, { bytesRead, isPaused: () => isPaused })
      socket.destroy = () => {
        endedAtMs = nowMs
      }
      sockets.sweep(nowMs)
    }
    t.equal(endedAtMs, expected)
    t.end()
  })
}
