/**
 * The conditions of a start: files that must exist, sockets that must accept. They are checked before anything is
 * opened.
 */

import { statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { EXIT, Failure } from '../../kit/ground/failure.js'
import type { Log } from '../../kit/log/log.js'
import { printListenAddress } from '../../kit/options/values/listen-address.js'
import type { BoundAddress } from '../../kit/options/values/value-types.js'
import type { Settings } from '../config/values/settings.js'
import { connectUnix } from '../listen/socket-file.js'
import { type Opener, onGuardedPath } from '../user/guarded-path.js'

const LOOK_MS = 200
const CONNECT_MS = 1000

type StartConditions = Pick<
  Settings,
  'waitForFile' | 'waitForFileTimeoutMs' | 'waitForSocket' | 'waitForSocketTimeoutMs'
>

/**
 * Resolves when all conditions hold. Failure `start-condition` (69) after a deadline. An abort rejects with its reason.
 */
export async function startConditions(
  conditions: StartConditions,
  opener: Opener,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const { waitForFile, waitForFileTimeoutMs, waitForSocket, waitForSocketTimeoutMs } = conditions
  for (const path of waitForFile) {
    await waitFor({ what: `wait-for-file=${path}`, timeoutMs: waitForFileTimeoutMs, log, signal }, async () =>
      isThere(path, opener),
    )
  }
  for (const address of waitForSocket) {
    const what = `wait-for-socket=${printListenAddress(address)}`
    await waitFor({ what, timeoutMs: waitForSocketTimeoutMs, log, signal }, () => isAccepting(address, opener))
  }
}

interface Wait {
  what: string
  timeoutMs: number
  log: Log
  signal: AbortSignal
}

async function waitFor({ what, timeoutMs, log, signal }: Wait, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + timeoutMs
  for (let looks = 0; !(await holds()); looks++) {
    if (looks === 0) log('start-waits', { what })
    if (performance.now() >= endMs) {
      throw new Failure('start-condition', `cannot start: ${what}: not there after ${timeoutMs} ms`, EXIT.unavailable)
    }
    await delay(LOOK_MS, undefined, { signal })
  }
}

/** Uses stat(2): access(2), and so existsSync, checks the rights of the real user. */
function isThere(path: string, opener: Opener): boolean {
  try {
    return onGuardedPath(path, 'content', opener, () => statSync(path, { throwIfNoEntry: false }) !== undefined)
  } catch {
    // EACCES, ELOOP: this user cannot see the file.
    return false
  }
}

function isAccepting(address: BoundAddress, opener: Opener): Promise<boolean> {
  return new Promise(resolve => {
    const socket =
      address.kind === 'unix'
        ? connectUnix(address.path, opener)
        : createConnection({ host: address.host === '0.0.0.0' ? '127.0.0.1' : address.host, port: address.port })
    const finish = (accepts: boolean) => {
      resolve(accepts)
      socket.destroy()
    }
    socket.setTimeout(CONNECT_MS, () => finish(false))
    socket.on('connect', () => finish(true))
    socket.on('error', () => finish(false)) // ECONNREFUSED, ENOENT: not yet
  })
}
