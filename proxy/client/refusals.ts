/**
 * Requests that never became an exchange: a malformed head, a head that comes too late, a connection beyond a limit, or
 * one whose PROXY header is not valid.
 * Each gets one access line and one count, and all but one get a response.
 */

import type { Client } from '../exchange/client.js'
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

  /** `dress` puts the operator's error page into a response. */
  constructor(world: RefusalsWorld, dress: (response: OwnResponse) => OwnResponse) {
    this.#world = world
    this.#dress = dress
  }

  head(client: Client, refusal: Refusal): void {
    this.#world.metrics.refused(refusal.refused)
    this.#respond(client, refusalResponse(refusal))
  }

  /** The client gets no response: it may speak another protocol. The line has the status that a response would have. */
  unanswered(client: Client, refusal: Refusal): void {
    this.#world.metrics.refused(refusal.refused)
    this.#world.accessLog?.writeRefused(client, refusal.status, 0)
  }

  neverBegan(client: Client, code: ErrorCode): void {
    this.#world.metrics.error(code)
    this.#respond(client, errorResponse(code))
  }

  /** Counts a limit that no response shows. */
  limited(name: LimitName): void {
    this.#world.metrics.limited(name)
  }

  #respond(client: Client, response: OwnResponse): void {
    const dressed = this.#dress(response)
    this.#world.accessLog?.writeRefused(client, dressed.status, Buffer.byteLength(dressed.body))
    client.respond(dressed)
  }
}
