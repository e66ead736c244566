/**
 * The thread beside an application's event loop. Entry file of the thread that `watchdog.ts` starts. While the loop is
 * blocked, it writes the responses that came before, and says on the link which request blocks the loop (`stuck`, if
 * the application was called for it and has not returned). So the neighbours get their responses at once, and harakiri
 * finds the guilty request, however many came in one batch. A proxy that takes the loop for blocked asks on a socket
 * for its stack.
 *
 * It looks every PERIOD_MS; after IDLE_LOOKS without any change, less often. It also ends a process whose master is
 * gone and whose loop hangs: the proxies do that, unless they are gone as well.
 */

import { chmodSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { setInterval, setTimeout } from 'node:timers'
import { parentPort, workerData } from 'node:worker_threads'
import { codeOf, reasonOf } from '../../../kit/ground/failure.js'
import { FRAME, frame } from '../../../kit/link/frames.js'
import type { StackReport } from '../../../kit/link/stack-report.js'
import { takeStack } from './blocked-stack.js'
import { Outbox } from './outbox.js'

/** Asks the thread to watch an outbox, whose frames go to the descriptor. */
export interface WatchedLink {
  memory: SharedArrayBuffer
  fd: number
}

/**
 * The arguments of the thread: the socket for questions of proxies, and the count of the application's inspector
 * sessions.
 */
export interface WatchdogStart {
  path: string
  sessions: SharedArrayBuffer
}

/** A loop that should have moved between two looks and has not is blocked for at least this long. */
const PERIOD_MS = 25
const IDLE_PERIOD_MS = 250
const IDLE_LOOKS = 40
/** Its answers are for the proxies, which run as the service's own user. */
const PRIVATE_MODE = 0o600
/** The main thread ends by itself within two seconds. */
const ORPHAN_LOOK_MS = 1000
const MOST_ORPHAN_LOOKS = 4

interface Watched {
  outbox: Outbox
  fd: number
  /** As of the last look. */
  moves: number
  /** The block that the proxy was told of. */
  toldMoves: number
}

const { path, sessions } = workerData as WatchdogStart
const links = new Set<Watched>()
let idle = 0
/** One stack is taken at a time, for all proxies that ask meanwhile. */
let taking: Promise<StackReport> | null = null

parentPort?.on('message', ({ memory, fd }: WatchedLink) => {
  links.add({ outbox: new Outbox(memory), fd, moves: 0, toldMoves: 0 })
})
lookOn()
answerProxies()
endOrphan(process.ppid)

function lookOn(): void {
  idle = [...links].map(look).includes(true) ? 0 : idle + 1
  setTimeout(lookOn, idle < IDLE_LOOKS ? PERIOD_MS : IDLE_PERIOD_MS)
}

function endOrphan(master: number): void {
  let looks = 0
  const look = () => {
    if (process.ppid !== master) looks += 1
    if (looks > MOST_ORPHAN_LOOKS) process.kill(process.pid, 'SIGKILL')
  }
  setInterval(look, ORPHAN_LOOK_MS)
}

function answerProxies(): void {
  const server = createServer(async socket => {
    // A proxy that does not want the answer any more.
    socket.on('error', () => {})
    taking ??= takeStackNow().finally(() => {
      taking = null
    })
    socket.end(JSON.stringify(await taking))
  })
  server.listen(path, () => {
    chmodSync(path, PRIVATE_MODE)
    parentPort?.postMessage('listening')
  })
}

async function takeStackNow(): Promise<StackReport> {
  try {
    return await takeStack(Atomics.load(new Int32Array(sessions), 0) > 0)
  } catch (error) {
    return { frames: [], why: reasonOf(error) }
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

/** Writes the bytes that the kernel takes at once; a proxy that is gone takes none. */
function write(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes)
  } catch (error) {
    if (['EAGAIN', 'EPIPE', 'ECONNRESET'].includes(codeOf(error))) return 0
    throw error
  }
}
