/**
 * The thread beside an application's event loop. Entry file of the thread that `watchdog.ts` starts. While the loop is blocked, it writes the answers
 * that were given before, and says on the link in which request it is (`stuck`, where it was called for one and has not returned): the neighbours are
 * answered at once, and harakiri finds the guilty one, however many came in one batch.
 *
 * It looks every PERIOD_MS; after IDLE_LOOKS at which nothing had happened, less often.
 */

import { writeSync } from 'node:fs'
import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { codeOf } from '../../kit/failure.js'
import { FRAME, frame } from '../../kit/frames.js'
import { Outbox } from './outbox.js'
import type { WatchedLink } from './watchdog.js'

/** A loop that has not moved between two looks and should have is blocked for so long at least. */
const PERIOD_MS = 25
const IDLE_PERIOD_MS = 250
const IDLE_LOOKS = 40

interface Watched {
  outbox: Outbox
  fd: number
  /** As of the last look. */
  moves: number
  /** The block that the proxy was told of. */
  toldMoves: number
}

const links = new Set<Watched>()
/** Nobody ever changes it: waiting for it is a sleep. */
const never = new Int32Array(new SharedArrayBuffer(4))

for (let idle = 0; ; ) {
  Atomics.wait(never, 0, 0, idle < IDLE_LOOKS ? PERIOD_MS : IDLE_PERIOD_MS)
  takeMessages()
  idle = [...links].map(look).includes(true) ? 0 : idle + 1
}

function takeMessages(): void {
  for (;;) {
    const received = parentPort === null ? undefined : receiveMessageOnPort(parentPort)
    if (received === undefined) return
    const { memory, fd } = received.message as WatchedLink
    links.add({ outbox: new Outbox(memory), fd, moves: 0, toldMoves: 0 })
  }
}

/** Whether anything has happened on the link since the last look. */
function look(link: Watched): boolean {
  const { outbox, fd } = link
  if (outbox.closed) return links.delete(link)
  const { running, moves, waiting } = outbox.look()
  const moved = moves !== link.moves
  link.moves = moves
  const tell = running !== 0 && moves !== link.toldMoves
  if (moved || !(waiting || tell)) return moved
  const written = outbox.writeInstead(tell ? frame(FRAME.stuck, running) : '', bytes => write(fd, bytes))
  if (written) link.toldMoves = moves
  return true
}

/** What the kernel takes at once; the proxy that is not there any more takes nothing. */
function write(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes)
  } catch (error) {
    if (['EAGAIN', 'EPIPE', 'ECONNRESET'].includes(codeOf(error))) return 0
    throw error
  }
}
