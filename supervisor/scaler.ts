/**
 * How many workers are wanted. Owned by `process-tree.ts`; what it decides is the pool's `target.wanted`, and `slots.ts` brings it about.
 * Must stay true: a number that a person asked for counts until the next one, or until `processes` of the INI changes.
 */

import type { MasterContext, ScaleOutcome, ScaleRequest } from './master-context.js'
import type { Pool } from './pool.js'

/** More workers than anybody may ask for. */
export const MOST_WORKERS = 1024

/** Of one master. */
export class Scaler {
  readonly #context: MasterContext
  readonly #pool: Pool

  constructor(context: MasterContext, pool: Pool) {
    this.#context = context
    this.#pool = pool
  }

  /** SIGTTIN and SIGTTOU: one worker more or fewer, never below one. */
  resize(by: number, why: string): void {
    const { wanted } = this.#pool.target
    if (wanted > 0) this.#want(Math.min(MOST_WORKERS, Math.max(1, wanted + by)), why)
  }

  /** `daimyo scale`: answers at once; the workers come and go by themselves. */
  scale({ count, done }: ScaleRequest): void {
    done(this.#scaled(count))
  }

  #scaled(count: ScaleRequest['count']): ScaleOutcome {
    const { wanted, target } = this.#pool.target
    if (target.release.app === null) return { ok: false, reason: 'there is no application' }
    if (count === 'auto') {
      this.#want(target.settings.processes, 'scale')
    } else {
      if (!Number.isInteger(count) || count < 1 || count > MOST_WORKERS) {
        const reason = `cannot scale: received ${count}: accepted a whole number from 1 to ${MOST_WORKERS}, or auto`
        return { ok: false, reason }
      }
      this.#want(count, 'scale')
    }
    return { ok: true, before: wanted, wanted: this.#pool.target.wanted }
  }

  #want(wanted: number, why: string): void {
    this.#pool.target = { ...this.#pool.target, wanted }
    this.#context.log('workers-wanted', { wanted, why })
  }
}
