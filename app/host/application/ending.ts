/**
 * How a worker ends: because the master says so, or alone, when there is no master any more.
 *
 * This file, and everything that it needs, is loaded before the application: later there may be no descriptor left to
 * read a file with, the release may be gone, and hooks of the application (`module.register`) may refuse our files or
 * never respond.
 *
 * What must stay true: an end is bounded by its mercy, whatever the application does, and by `ORPHAN_MS` without a
 * master.
 */

import { chmodSync, renameSync, rmSync, statSync } from 'node:fs'
import type { Server } from 'node:http'
import { clearInterval, setInterval, setTimeout } from 'node:timers'
import { setTimeout as delay } from 'node:timers/promises'
import type { ToldFields, WorkerEventName } from '../../../kit/channel/child-events.js'
import type { StreamLimits } from '../../../kit/channel/messages.js'
import { reasonOf } from '../../../kit/ground/failure.js'
import { endSession, processesOfSession } from '../../../kit/process/session-processes.js'
import type { ApplicationChannel } from './application-channel.js'
import { Farewell, type Running } from './farewell.js'
import type { MasterChannel } from './master-channel.js'

/** How long requests in flight may take when the master is dead; the proxies go away within a second themselves. */
const ORPHAN_MS = 1200
const POLL_MS = 20
/** Between SIGTERM and SIGKILL for processes that the application has started, if there is no master to do it. */
const ORPHANS_CHILDREN_MS = 500
/**
 * The time for an application that listens to messages only, after it was told to end: PM2's `kill_timeout` by default.
 */
const SHUTDOWN_MESSAGE_MS = 1600
/** The part of its mercy that a worker waits for open connections; in the rest the application can clean up. */
const OPEN_SHARE = 0.8
/** Of a heap snapshot. */
const OWNER_ONLY = 0o600

export interface EndingParts {
  running: Running
  channel: MasterChannel
  messages: ApplicationChannel
  /** Of the whole process; the application's own may be held. */
  exit(code: number): void
}

/** Of one worker. */
export class Ending {
  readonly #parts: EndingParts
  readonly #farewell: Farewell

  constructor(parts: EndingParts) {
    this.#parts = parts
    const { running, channel, messages } = parts
    this.#farewell = new Farewell({ running, channel, messages })
  }

  /** The application was told to end. */
  get isTold(): boolean {
    return this.#farewell.isTold
  }

  /** Responses are still under way, and have `mercyMs`. */
  tellEarly(mercyMs: number, stream: StreamLimits | null): void {
    this.#farewell.tellEarly(mercyMs, stream)
  }

  /** The proxies send nothing any more. Tunnels, direct connections and the application's own clean-up may be left. */
  async stop(mercyMs: number, snapshotPath: string | null): Promise<void> {
    const { running, channel, exit } = this.#parts
    const { application, link, tunnels } = running
    const farewell = this.#farewell
    link.close()
    // An application that listens to the end closes its server itself.
    const served = farewell.concernsApplication ? tunnels.close() : Promise.all([closed(application), tunnels.close()])
    await Promise.race([served, delay(mercyMs * OPEN_SHARE, undefined, { ref: false })])
    await running.flush()
    if (snapshotPath !== null) {
      const { event, fields } = writeSnapshot(snapshotPath)
      await channel.event(event, fields)
    }
    if (!farewell.concernsApplication) return exit(0)
    farewell.tell()
    if (farewell.wasToldByMessage) setTimeout(() => exit(0), Math.min(mercyMs, SHUTDOWN_MESSAGE_MS)).unref()
  }

  /** The master is gone. `keepsChildren`: processes that the application has started live on. */
  endAlone(keepsChildren: boolean): void {
    const { running, exit } = this.#parts
    const deadline = performance.now() + ORPHAN_MS
    const look = setInterval(() => {
      if (performance.now() <= deadline && !isIdle(running)) return
      clearInterval(look)
      running.link.close()
      endChildren(keepsChildren).finally(() => exit(0))
    }, POLL_MS)
  }
}

/**
 * The work of a master after the end of a worker. A proxy kills workers that are still linked after a while
 * (`proxy/main.ts`).
 */
export async function endChildren(keepsChildren: boolean): Promise<void> {
  const left = keepsChildren ? [] : await processesOfSession(process.pid)
  if (left.length > 0) await endSession(process.pid, left, ORPHANS_CHILDREN_MS)
}

function closed(application: Server): Promise<void> {
  return new Promise(resolve => {
    if (!application.listening) return resolve()
    application.close(() => resolve())
    application.closeIdleConnections()
  })
}

function isIdle({ link, tunnels }: Running): boolean {
  return link.inFlight === 0 && tunnels.open === 0
}

/**
 * Writes a heap snapshot to `path`, by way of a name with `.partial` behind, and reports the result. V8 stands still
 * meanwhile, for seconds, and may need as much memory again. The file holds every string of the application, secrets
 * too: only its owner may read it.
 */
function writeSnapshot(path: string): { event: WorkerEventName; fields: ToldFields } {
  const startMs = performance.now()
  const partial = `${path}.partial`
  const before = process.umask(0o077)
  try {
    // Here, because few ends need it and every start would pay for it. It needs neither a descriptor nor a hook.
    process.getBuiltinModule('node:v8').writeHeapSnapshot(partial)
    chmodSync(partial, OWNER_ONLY)
    const { size } = statSync(partial)
    renameSync(partial, path)
    const tookMs = Math.round(performance.now() - startMs)
    return { event: 'autopsy-written', fields: { path, bytes: size, tookMs } }
  } catch (error) {
    rmSync(partial, { force: true })
    return { event: 'autopsy-failed', fields: { path, why: reasonOf(error) } }
  } finally {
    process.umask(before)
  }
}
