/**
 * Messages that never became an exchange: heads that are not believed, that do not come, that are not listened to. Each is answered, logged and
 * counted once. Owned by `phases.ts`, asked by `connection.ts`.
 */

import type { AccessLog } from './access-log.js'
import { type ErrorCode, errorAnswer, type OwnAnswer, refusalAnswer } from './error-response.js'
import type { Client } from './exchange.js'
import type { LimitName } from './limit-names.js'
import type { Refusal } from './refusal.js'
import type { RequestMetrics } from './request-metrics.js'

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
    this.#world.accessLog?.writeRefused(client, refusal.status)
    client.answer(this.#dress(refusalAnswer(refusal)))
  }

  neverBegan(client: Client, code: ErrorCode): void {
    const answer = errorAnswer(code)
    this.#world.metrics.error(code)
    this.#world.accessLog?.writeRefused(client, answer.status)
    client.answer(this.#dress(answer))
  }

  /** A limit that shows in no answer. */
  limited(name: LimitName): void {
    this.#world.metrics.limited(name)
  }
}
