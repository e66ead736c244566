/**
 * Restores parts of a running master's run folder that a clean-up of `/tmp` or a deployment removed. Without them the
 * next worker has no place for its sockets, and commands do not find the master. The master checks before it starts a
 * worker, and every other second. What must stay true: an error of the system is never thrown, and each reason is
 * logged once.
 */

import { Failure } from '../../kit/ground/failure.js'
import type { Log } from '../../kit/log/log.js'
import type { ControlSocket } from '../control/control-socket.js'
import type { RunFolder } from './run-folder.js'
import { isGone } from './workers-folder.js'

export class RunFolderKeeper {
  readonly #folder: Pick<RunFolder, 'path' | 'controlPath' | 'restore'>
  readonly #log: Log
  #control: Pick<ControlSocket, 'reopen'> | null = null
  #isOpening = false
  /** The last reason why the folder could not be restored. Empty: the last check succeeded. */
  #told = ''

  constructor(folder: Pick<RunFolder, 'path' | 'controlPath' | 'restore'>, log: Log) {
    this.#folder = folder
    this.#log = log
  }

  /** From now on the control socket is restored too. */
  keepControl(control: Pick<ControlSocket, 'reopen'>): void {
    this.#control = control
  }

  keep(): void {
    try {
      if (this.#folder.restore()) this.#log('run-folder-restored', { path: this.#folder.path })
      this.#told = ''
    } catch (error) {
      return this.#report(error)
    }
    if (this.#control === null || this.#isOpening || !isGone(this.#folder.controlPath)) return
    this.#isOpening = true
    void this.#reopen(this.#control)
  }

  async #reopen(control: Pick<ControlSocket, 'reopen'>): Promise<void> {
    try {
      await control.reopen()
      this.#log('control-socket-restored', { path: this.#folder.controlPath })
    } catch (error) {
      this.#report(error)
    } finally {
      this.#isOpening = false
    }
  }

  #report(error: unknown): void {
    if (!(error instanceof Failure)) throw error
    if (error.message !== this.#told) this.#log('run-folder-lost', { path: this.#folder.path, why: error.message })
    this.#told = error.message
  }
}
