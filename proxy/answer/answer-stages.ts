/**
 * What stands between an application's answer and its client: nothing, as a rule. Made by `phases.ts`, which asks it
 * for each exchange; whoever brings an answer (`link.ts`, or another upstream) writes its HTTP/1.1 bytes to
 * `exchange.out` and says its end to `Phases.answered`, and does not know whether a stage is there.
 *
 * The order on the way out: the file in the place of the answer, then compression, then the client.
 */

import type { ProxyEventName, ToldFields } from '../../kit/channel/child-events.js'
import type { ProxySettings } from '../../kit/channel/messages.js'
import type { AnswerStage, Exchange } from '../exchange/exchange.js'
import type { RequestMetrics } from '../observe/request-metrics.js'
import { Compressors } from '../process/compressor.js'
import { CompressingStage } from './compressing-stage.js'
import { FileStage } from './file-stage.js'
import type { StageEvents } from './stage-events.js'

/** What the stages need of the rest of the proxy. */
export interface StagesWorld {
  settings: ProxySettings
  metrics: Pick<RequestMetrics, 'compressed'>
  event(name: ProxyEventName, fields: ToldFields): void
}

export class AnswerStages {
  readonly #world: StagesWorld
  readonly #events: StageEvents
  /** Null: nothing is compressed. Another one after `apply`. */
  compressors: Compressors | null

  /** `outcome`: what follows for the exchange, `phases.ts`. */
  constructor(world: StagesWorld, outcome: Pick<StageEvents, 'finished' | 'failed'>) {
    this.#world = world
    this.compressors = compressorsOf(world.settings)
    this.#events = {
      ...outcome,
      badAnswer: (exchange, why) => this.badAnswer(exchange, why),
      compressed: coding => world.metrics.compressed(coding),
      fileRefused: (exchange, file, why) => {
        world.event('named-file-refused', { request: exchange.title, slot: exchange.slot, file, why })
      },
    }
  }

  /** The settings of the world have changed: answers that begin from now on follow them. */
  apply(): void {
    this.compressors = compressorsOf(this.#world.settings)
  }

  /** Before an exchange is handed to whoever answers it, also when it is handed over again. */
  prepare(exchange: Exchange): void {
    if (exchange.stage !== null) this.#remove(exchange, exchange.stage)
    if (this.compressors !== null) this.#put(exchange, new CompressingStage(exchange, this.compressors, this.#events))
  }

  /** Before the first byte of an answer whose head has an X-Accel-Redirect or X-Sendfile. */
  fileNamed(exchange: Exchange): void {
    this.#put(exchange, new FileStage(exchange, this.#world.settings, this.#events))
  }

  /** What came is no answer, and `why`: an event, and 502 where that can still be said. */
  badAnswer(exchange: Exchange, why: string): void {
    if (exchange.finished) return
    this.#world.event('bad-answer', { request: exchange.title, slot: exchange.slot, why })
    exchange.cancelAttempt()
    this.#events.failed(exchange, 'bad-answer')
  }

  /** The exchange is over: lets go of what its stages hold. */
  close(exchange: Exchange, stage: AnswerStage): void {
    // An answer in the proxy's own name went past them.
    if (exchange.answerBegun) exchange.sentBytes = stage.sentBytes
    stage.destroy()
  }

  /** What an upstream that is gone had said so far. */
  #remove(exchange: Exchange, stage: AnswerStage): void {
    stage.destroy()
    exchange.stage = null
    exchange.out = exchange.client
  }

  #put(exchange: Exchange, stage: AnswerStage): void {
    exchange.stage = stage
    exchange.out = stage
  }
}

function compressorsOf(settings: ProxySettings): Compressors | null {
  const compressors = new Compressors(settings)
  return compressors.offered.length === 0 ? null : compressors
}
