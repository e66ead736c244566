/**
 * Messages that never became an exchange: heads that are not believed, that do not come, that are not listened to. Each
 * is answered, logged and counted once. Owned by `phases.ts`, asked by `connection.ts`.
 */

import type { Client } from '../exchange/exchange.js'
import { type ErrorCode, errorAnswer, type OwnAnswer, refusalAnswer } from '../http/error-response.js'
import type { Refusal } from '../http/refusal.js'
import type { AccessLog } from '../observe/access-log.js'
import type { LimitName } from '../observe/limit-names.js'
import type { RequestMetrics } from '../observe/request-metrics.js'

export interface RefusalsWorld {
  metrics: RequestMetrics
  accessLog: AccessLog | null
}

export class Refusals {
  readonly #world: RefusalsWorld
  readonly #dress: (answer: OwnAnswer) => OwnAnswer

  /** `dress` puts the operator's page under an answer. */
  constructor(world: RefusalsWorld, dress: (answer: OwnAnswer) => OwnAnswer) {
    this.#world = world
    this.#dress = dress
  }

  head(client: Client, refusal: Refusal): void {
    this.#world.metrics.refused(refusal.refused)
    this.#answer(client, refusalAnswer(refusal))
  }

  neverBegan(client: Client, code: ErrorCode): void {
    this.#world.metrics.error(code)
    this.#answer(client, errorAnswer(code))
  }

  /** A limit that shows in no answer. */
  limited(name: LimitName): void {
    this.#world.metrics.limited(name)
  }

  #answer(client: Client, answer: OwnAnswer): void {
    const dressed = this.#dress(answer)
    this.#world.accessLog?.writeRefused(client, dressed.status, Buffer.byteLength(dressed.body))
    client.answer(dressed)
  }
}
