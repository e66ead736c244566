/**
 * Reads a FIFO of `master-fifo` through another process, if the service's user may change its folder. That user may
 * hold the lock of the FIFO (splice(2)), and then open(2), read(2) and close(2) wait without end. The bytes reach the
 * master over one of our pipes (`user/pipes.ts`).
 */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Credentials } from '../../kit/channel/messages.js'
import { SYSTEM_PATH } from '../../kit/ground/system-path.js'
import { type KilledChild, killForGood } from '../user/killed-child.js'
import { type PipedChild, type Pipes, spawnPiped } from '../user/pipes.js'

/**
 * The first line of output says what was opened. The FIFO is open for writing too, so the end of a writer is not an end
 * of file. The shell ends with its reader, `cat`, and both end with the master: its standard input is a pipe of the
 * master, which ends then.
 */
const PROGRAM = `[ -L "$1" ] && echo link && exit
[ -e "$1" ] || { echo nothing; exit; }
exec 5<>"$1" && stat -Lc '%F|%u|%a' /proc/self/fd/5 || exit
{ cat <&5; kill -KILL 0; } &
read -r end
kill -KILL 0`
const LONGEST_LINE = 200

export interface RelayOptions {
  as: Credentials
  pipes: Pipes
  withinMs: number
  tell: KilledChild['tell']
}

/**
 * The result of the open: `kind` is `fifo`, `link`, `nothing` or another word of stat(1), `mode` the permission bits.
 */
export interface Relay {
  kind: string
  uid: number
  mode: number
  /** The bytes that are written to the FIFO. Its end means that the process has ended. */
  socket: Socket
  close(): void
}

/** Rejects with the reason if the process cannot open the FIFO. */
export async function startRelay(path: string, { as, pipes, withinMs, tell }: RelayOptions): Promise<Relay> {
  const what = { program: '/bin/sh', args: ['-c', PROGRAM, 'daimyo: fifo', path], env: { PATH: SYSTEM_PATH }, cwd: '/' }
  const { child, streams } = await new Promise<PipedChild>((started, failed) => {
    spawnPiped(pipes, as, what, ['to-child', 'from-child', 'ignore'], { detached: true }, { started, failed })
  })
  // EAGAIN, EMFILE: there is no process. The end of its output says so too.
  child.on('error', () => {}).unref()
  const [input, socket] = streams as [Socket, Socket]
  const close = () => {
    input.destroy()
    socket.destroy()
    killForGood(child, { credentials: as, tell, letGo: () => {} }, () => killGroup(child.pid))
  }
  socket.once('close', () => input.destroy())
  try {
    const { line, rest } = await firstLine(socket, withinMs)
    socket.pause()
    if (rest.length > 0) socket.unshift(rest)
    const [kind = '', uid = '', mode = ''] = line.split('|')
    return { kind, uid: Number(uid), mode: Number.parseInt(mode, 8), socket, close }
  } catch (error) {
    close()
    throw error
  }
}

/** The child leads a process group of its own. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: the group has ended.
  }
}

async function firstLine(socket: Socket, withinMs: number): Promise<{ line: string; rest: Buffer }> {
  let bytes = Buffer.alloc(0)
  const signal = AbortSignal.timeout(withinMs)
  for (;;) {
    const end = bytes.indexOf('\n')
    if (end >= 0) return { line: bytes.toString('latin1', 0, end), rest: bytes.subarray(end + 1) }
    if (bytes.length > LONGEST_LINE) throw new Error('the process that opens it sent an unknown answer')
    const chunk = await Promise.race([
      once(socket, 'data', { signal }).then(([data]) => data as Buffer),
      once(socket, 'end', { signal }).then(() => null),
    ]).catch(error => {
      throw signal.aborted ? new Error(`not opened within ${withinMs} ms`) : error
    })
    if (chunk === null) throw new Error('the process that opens it has ended')
    bytes = Buffer.concat([bytes, chunk])
  }
}
