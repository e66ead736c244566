/**
 * Messages that never became an exchange: heads that are not believed, that do not come, that are not listened to. Each
 * is answered, logged and counted once. Owned by `request-lifecycle.ts`, asked by `connection.ts`.
 */

import type { Client } from '../exchange/exchange.js'
import { type ErrorCode, errorResponse, type OwnResponse, refusalResponse } from '../http/error-response.js'
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
  readonly #dress: (response: OwnResponse) => OwnResponse

  /** `dress` puts the operator's page under a response. */
  constructor(world: RefusalsWorld, dress: (response: OwnResponse) => OwnResponse) {
    this.#world = world
    this.#dress = dress
  }

  head(client: Client, refusal: Refusal): void {
    this.#world.metrics.refused(refusal.refused)
    this.#respond(client, refusalResponse(refusal))
  }

  neverBegan(client: Client, code: ErrorCode): void {
    this.#world.metrics.error(code)
    this.#respond(client, errorResponse(code))
  }

  /** A limit that shows in no response. */
  limited(name: LimitName): void {
    this.#world.metrics.limited(name)
  }

  #respond(client: Client, response: OwnResponse): void {
    const dressed = this.#dress(response)
    this.#world.accessLog?.writeRefused(client, dressed.status, Buffer.byteLength(dressed.body))
    client.respond(dressed)
  }
}
