/**
 * `master-fifo`: named pipes that take uWSGI's letters (`echo r > shop.fifo`). Started by `run-command.ts`.
 * Several may be named; one is listened to at a time, the first at the beginning, and a digit written to it chooses another one. The others keep what
 * is written to them until they are chosen.
 * Must stay true: what is not a FIFO of our own, or of the service's user in a folder of that user's, is refused,
 * never removed; a letter only queues an event.
 */

import { execFileSync } from 'node:child_process'
import { closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync } from 'node:fs'
import { Socket } from 'node:net'
import { codeOf, EXIT, Failure, reasonOf } from '../kit/failure.js'
import type { Log } from '../kit/log.js'
import type { Credentials } from '../kit/messages.js'
import { SYSTEM_PATH } from '../kit/system-path.js'
import { BRIEFLY } from './become-user.js'
import { asOpening, type Opener, onGuardedPath, openingOf } from './guarded-path.js'
import { FIFO_LETTERS, type SignalEvent } from './signals.js'

/** `put` gets a name for the log, and what the letter asks for. */
export interface FifoOptions {
  paths: readonly string[]
  opener: Opener
  put: (letter: string, event: SignalEvent) => void
  log: Log
}

/** Opens all of them. Failure: `master-fifo` (71, 77 where it is somebody else's). The result closes and removes them. */
export function startMasterFifo({ paths, opener, put, log }: FifoOptions): { close(): void } {
  const open: { path: string; socket: Socket }[] = []
  const listenTo = (chosen: number) => {
    for (const [number, { socket }] of open.entries()) {
      if (number === chosen) socket.resume()
      else socket.pause()
    }
  }
  const take = (letter: string) => {
    const event = Object.hasOwn(FIFO_LETTERS, letter) ? FIFO_LETTERS[letter] : undefined
    if (event !== undefined) return put(`fifo-${letter}`, event)
    if (/\s/.test(letter)) return
    if (/\d/.test(letter) && Number(letter) < open.length) return listenTo(Number(letter))
    log('fifo-refused', { letter, why: 'not one of the letters that mean something here' })
  }
  for (const path of paths) {
    const socket = new Socket({ fd: openFifo(path, opener), readable: true, writable: false })
    socket.on('data', bytes => {
      for (const letter of bytes.toString('latin1')) take(letter)
    })
    socket.on('error', error => log('fifo-trouble', { path, why: reasonOf(error) }))
    open.push({ path, socket })
  }
  listenTo(0)
  return {
    close() {
      for (const { path, socket } of open) {
        socket.destroy()
        onGuardedPath(path, 'name', opener, () => removeFifo(path))
      }
    },
  }
}

/** Opened for writing too: otherwise each writer that goes away would be an end of file. */
function openFifo(path: string, opener: Opener): number {
  const opening = openingOf(path, 'name', opener)
  try {
    const found = asOpening(opening, opener, () => lstatSync(path, { throwIfNoEntry: false }))
    // What is there already is looked at below.
    if (found === undefined) makeFifo(path, opening.as)
    const flags = constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW
    const fd = asOpening(opening, opener, () => openSync(path, flags))
    const stat = fstatSync(fd)
    if (stat.isFIFO() && [process.getuid?.(), 0, opening.as?.uid].includes(stat.uid)) return fd
    closeSync(fd)
    const why = stat.isFIFO() ? `it belongs to uid ${stat.uid}` : 'it is not a FIFO'
    throw new Failure('master-fifo', `cannot open the master FIFO: ${path}: ${why}`, EXIT.permission)
  } catch (error) {
    if (error instanceof Failure) throw error
    const why = codeOf(error) === 'ELOOP' ? 'it is a link' : reasonOf(error).trim()
    throw new Failure('master-fifo', `cannot open the master FIFO: ${path}: ${why}`, EXIT.os, error)
  }
}

/** Node has no mkfifo(3). The real user too is the one who makes it: the program gets nothing of root's. */
function makeFifo(path: string, as: Credentials | null): void {
  const { uid, gid } = as ?? {}
  execFileSync('mkfifo', ['-m', '600', '--', path], { env: { PATH: SYSTEM_PATH }, uid, gid, cwd: '/', ...BRIEFLY })
}

function removeFifo(path: string): void {
  try {
    if (lstatSync(path).isFIFO()) unlinkSync(path)
  } catch (error) {
    // ENOENT: somebody removed it before.
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
