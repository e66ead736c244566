/**
 * An operator's orders to the running tree besides reload and stop: a number of workers, a new worker in a slot, a
 * pause of requests. `check` runs after every event. An order only changes the wanted state (`WorkersTarget.wanted`, a
 * worker's `recycle`, the proxies' pause), and the slots carry it out. What must stay true: an order gets its answer
 * when it is done or has failed. After a failure nothing is retried silently.
 */

import type { MasterContext } from '../child/master-context.js'
import type { Scaler } from '../workers/scaler.js'
import type { BootFailure, WorkerHandle } from '../workers/worker-handle.js'
import { RESTART_WORKER } from '../workers/worker-life.js'
import type { WorkerSlot, Workers } from '../workers/workers.js'

export type Order =
  | { type: 'scale'; wanted: number | 'auto' }
  | { type: 'restart-worker'; slot: number }
  | { type: 'pause' }
  | { type: 'resume' }
  | { type: 'reopen-logs' }

/** `lines`: the worker's last lines on standard error, if a worker was the reason. */
export type OrderOutcome = { ok: true } | { ok: false; reason: string; lines: string[] }

/** An order whose sender waits for its end. */
export interface OrderRequest {
  order: Order
  progress(text: string): void
  done(outcome: OrderOutcome): void
}

/** The proxies, as orders need them. */
export interface OrderProxies {
  pause(isPaused: boolean): void
  readonly arePaused: boolean
  readonly areInStep: boolean
}

/** An order that is not done yet; `before` is the worker to be replaced. */
interface Open {
  request: OrderRequest
  before: WorkerHandle | null
}

/** All orders of a master. */
export class Orders {
  readonly #context: MasterContext
  readonly #workers: Workers
  readonly #proxies: OrderProxies
  readonly #scaler: Scaler
  readonly #reopenLogs: () => Promise<string | null>
  #open: Open[] = []

  constructor(
    context: MasterContext,
    workers: Workers,
    proxies: OrderProxies,
    scaler: Scaler,
    reopenLogs: () => Promise<string | null>,
  ) {
    this.#context = context
    this.#workers = workers
    this.#proxies = proxies
    this.#scaler = scaler
    this.#reopenLogs = reopenLogs
  }

  /** Takes an order; an impossible one is refused at once. */
  request(request: OrderRequest): void {
    const { order } = request
    switch (order.type) {
      case 'pause':
      case 'resume':
        this.#pause(order.type === 'pause')
        this.#open.push({ request, before: null })
        return
      case 'reopen-logs':
        return void this.#reopen(request)
      case 'scale':
        return this.#scale(order.wanted, request)
      case 'restart-worker':
        return this.#restart(order.slot, request)
    }
  }

  /** A worker ended before it was ready: orders that wait for it fail with its reason. */
  bootFailed({ slot, reason, lines }: BootFailure): void {
    this.#settle(({ request: { order }, before }) => {
      if (order.type === 'scale') return refusal(`slot ${slot}: ${reason}: daimyo tries again`, lines)
      if (order.type !== 'restart-worker' || order.slot !== slot) return null
      // The worker before it died meanwhile, so its slot is filled in any case.
      if (before === null || before.life.phase === 'gone')
        return refusal(`slot ${slot}: ${reason}: daimyo tries again`, lines)
      // Without this call the worker would be replaced again and again, and nobody would see the reason.
      before.keep()
      return refusal(`slot ${slot}: ${reason}: the former worker stays`, lines)
    })
  }

  /** Answers orders that are done. */
  check(): void {
    if (this.#open.length > 0) this.#settle(open => (this.#hasHappened(open) ? { ok: true } : null))
  }

  /** The tree stops. */
  close(why: string): void {
    this.#settle(() => refusal(`the master stops: ${why}`))
  }

  /** SIGTSTP. */
  togglePause(): void {
    this.#pause(!this.#proxies.arePaused)
  }

  #pause(isPaused: boolean): void {
    if (this.#proxies.arePaused === isPaused) return
    this.#proxies.pause(isPaused)
    this.#context.log(isPaused ? 'paused' : 'resumed')
  }

  async #reopen(request: OrderRequest): Promise<void> {
    const why = await this.#reopenLogs()
    if (why !== null) return request.done(refusal(why))
    this.#open.push({ request, before: null })
    this.#context.put({ type: 'tick' })
  }

  /** `daimyo scale` waits until the workers have started and ended. */
  #scale(count: number | 'auto', request: OrderRequest): void {
    const why = this.#scaler.scale(count)
    if (why === null) this.#open.push({ request, before: null })
    else request.done(refusal(why))
  }

  #restart(number: number, request: OrderRequest): void {
    const slots = this.#workers.slots.map(({ slot }) => slot)
    const worker = this.#workers.slots.find(({ slot }) => slot === number)?.current ?? null
    if (!slots.includes(number))
      return request.done(refusal(`no slot ${number}: there are ${slots.join(', ') || 'none'}`))
    if (worker === null) return request.done(refusal(`slot ${number}: it has no worker now, and gets one in any case`))
    if (worker.life.phase !== 'ready')
      return request.done(refusal(`slot ${number}: its worker is ${worker.life.phase}`))
    worker.askForNext(RESTART_WORKER)
    request.progress(`slot ${number}: starting a worker beside pid ${worker.pid}`)
    this.#open.push({ request, before: worker })
  }

  #hasHappened({ request: { order }, before }: Open): boolean {
    const { slots, target } = this.#workers
    if (order.type === 'pause' || order.type === 'resume' || order.type === 'reopen-logs')
      return this.#proxies.areInStep
    if (order.type === 'restart-worker') {
      const slot = slots.find(({ slot }) => slot === order.slot)
      if (slot === undefined) return true
      return slot.current !== before && this.#workers.isInPlace(slot.current) && !this.#isLeaving(before)
    }
    // Of two orders with different numbers, the later one counts. Both get their answer when it is done.
    const inPlace = slots.filter(({ current }) => this.#workers.isInPlace(current)).length
    return slots.length === target.wanted && inPlace === slots.length && !this.#areTakenAway(slots)
  }

  /** Workers of removed slots still finish their requests. Workers of other slots are merely recycled. */
  #areTakenAway(slots: readonly WorkerSlot[]): boolean {
    return this.#workers.draining.some(({ address }) => !slots.some(({ slot }) => slot === address.slot))
  }

  /** Nothing waits for a worker that lingers for its tunnels. */
  #isLeaving(worker: WorkerHandle | null): boolean {
    return worker !== null && this.#workers.leaving.has(worker) && worker.life.phase !== 'lingering'
  }

  #settle(outcomeOf: (open: Open) => OrderOutcome | null): void {
    const open = this.#open
    this.#open = []
    for (const each of open) {
      const outcome = outcomeOf(each)
      if (outcome === null) this.#open.push(each)
      else each.request.done(outcome)
    }
  }
}

function refusal(reason: string, lines: string[] = []): OrderOutcome {
  return { ok: false, reason, lines }
}
