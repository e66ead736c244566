/**
 * Holds the end that an application gives itself while it still has answers under way: `process.exit`, `process.reallyExit`, and a deadly signal that it
 * sends to itself. Used by `farewell.ts` for an application that has been told to end.
 *
 * What must stay true:
 *
 * - The first end that is asked for is the one that comes: its code, or its signal, which nobody listens for any more then.
 * - A signal that the application listens for is no end. `signal-exit`, which many packages bring along, takes its own listener away and then sends the
 *   signal again, as does `process.once('SIGTERM', …)`.
 * - Whoever handles `uncaughtException` or `unhandledRejection` and exits within the handler exits at once: a broken process answers nobody. An end that is
 *   held already stays held: the code behind it runs on, and may fail because of that.
 * - A call of Node's own `process.exit` that passes by here, as `main.ts` has it, is not held.
 */

import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

/** What is waited for. */
export interface ExitTerms {
  isDone(): boolean
  /** By `performance.now()`; then the end comes in any case. */
  deadlineMs: number
  /** Sends the last metrics. */
  flush(): Promise<void>
}

/** The parts of `process` that are put in place of Node's. */
export type ExitDoors = Pick<
  NodeJS.Process,
  'pid' | 'exit' | 'kill' | 'exitCode' | 'listenerCount' | 'removeAllListeners'
> & {
  emit(name: string | symbol, ...args: unknown[]): boolean
  /** Undocumented; `process.exit` calls it in the end. */
  reallyExit(code?: number): never
  /** Undocumented: `process.exit` is under way. */
  _exiting?: boolean
}

type ExitCode = number | string | null | undefined

const DEADLY: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGKILL']
const BREAKS: ReadonlySet<string | symbol> = new Set(['uncaughtException', 'unhandledRejection'])
const LOOK_MS = 20

/** From here on. */
export function holdExit(terms: ExitTerms, doors = process as unknown as ExitDoors): void {
  const { exit, kill, reallyExit, emit } = doors
  let isLeaving = false
  let isBreaking = false
  let isOver = false
  const passes = () => isOver || (isBreaking && !isLeaving)
  const leave = async (end: () => void) => {
    if (isLeaving) return
    isLeaving = true
    while (!terms.isDone() && performance.now() < terms.deadlineMs) await delay(LOOK_MS)
    await terms.flush()
    isOver = true
    end()
  }
  const leaveWith = (end: () => void, code: ExitCode) => {
    if (!isLeaving && code !== undefined && code !== null) doors.exitCode = code
    void leave(end)
  }
  doors.exit = ((code?: ExitCode) =>
    passes() ? exit.call(doors, code) : leaveWith(() => exit.call(doors), code)) as typeof exit
  doors.reallyExit = ((code?: number) =>
    passes() || doors._exiting
      ? reallyExit.call(doors, code)
      : leaveWith(() => reallyExit.call(doors, code), code)) as typeof reallyExit
  doors.kill = (pid, signal) => {
    const deadly = deadlySignal(signal)
    if (passes() || deadly === null || !isOwn(doors.pid, pid) || doors.listenerCount(deadly) > 0)
      return kill.call(doors, pid, signal)
    void leave(() => {
      doors.removeAllListeners(deadly)
      kill.call(doors, pid, signal)
    })
    return true
  }
  doors.emit = (name, ...args) => {
    if (!BREAKS.has(name)) return emit.call(doors, name, ...args)
    isBreaking = true
    try {
      return emit.call(doors, name, ...args)
    } finally {
      isBreaking = false
    }
  }
}

function deadlySignal(signal: string | number | undefined): NodeJS.Signals | null {
  return DEADLY.find(name => name === (signal ?? 'SIGTERM') || constants.signals[name] === signal) ?? null
}

/** The process, or its group, which nobody else's process is in. */
function isOwn(own: number, pid: number): boolean {
  return [0, own, -own].includes(Number(pid))
}
