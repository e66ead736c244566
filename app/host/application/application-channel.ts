/**
 * `process.send`, `process.connected`, `process.disconnect`, `process.channel` and the message `shutdown`, as an
 * application under PM2 has them; many applications call them without a check. Nothing goes through: sent messages are
 * dropped, except `ready`, which `wait-ready` waits for. Installed before the application is loaded. The worker's own
 * line to the master is another one (`master-channel.ts`), which the application does not see.
 *
 * What must stay true: it does no harm. It keeps no process alive, never emits `disconnect` or `error` by itself, and
 * throws only as Node's does, for a value that is no message.
 */

type Sent = (error: Error | null) => void

/** The types that Node's channel takes (`target.send` in lib/internal/child_process.js). */
const SENDABLE = new Set(['string', 'object', 'number', 'boolean'])

/** Messages of PM2, each the whole message. */
const READY = 'ready'
const SHUTDOWN = 'shutdown'

/** The part of `process` that is given to the application. */
type Host = Pick<NodeJS.Process, 'emit' | 'listenerCount'>

export class ApplicationChannel {
  readonly #host: Host
  #isConnected = true
  #tellReady = () => {}
  /** Fulfilled when the application has sent `ready`. */
  readonly ready = new Promise<void>(resolve => {
    this.#tellReady = resolve
  })

  constructor(host: Host) {
    this.#host = host
  }

  /** A listener may wait for `shutdown`. */
  get isListenedTo(): boolean {
    return this.#isConnected && this.#host.listenerCount('message') > 0
  }

  /** Gives it to the application: as in Node, plain properties, which the application may replace. */
  install(): void {
    const own = {
      send: this.#send,
      disconnect: this.#disconnect,
      connected: true,
      channel: { ref() {}, unref() {}, hasRef: () => false },
    }
    for (const [name, value] of Object.entries(own))
      Object.defineProperty(this.#host, name, { value, writable: true, enumerable: true, configurable: true })
  }

  /** The application has to end. */
  tellShutdown(): void {
    if (this.#isConnected) emit(this.#host, 'message', SHUTDOWN, undefined)
  }

  /** With or without a handle and options before the callback. */
  readonly #send = (message: unknown, ...rest: unknown[]): boolean => {
    requireMessage(message)
    const sent = rest.find(each => typeof each === 'function') as Sent | undefined
    const error = this.#isConnected ? null : coded(new Error('Channel closed'), 'ERR_IPC_CHANNEL_CLOSED')
    if (sent !== undefined) process.nextTick(sent, error)
    if (message === READY && this.#isConnected) this.#tellReady()
    return this.#isConnected
  }

  readonly #disconnect = (): void => {
    if (!this.#isConnected) return
    this.#isConnected = false
    Object.assign(this.#host, { connected: false, channel: null })
    process.nextTick(emit, this.#host, 'disconnect')
  }
}

/** The types do not know these events. */
function emit(host: Host, event: string, ...args: unknown[]): void {
  ;(host.emit as (event: string, ...args: unknown[]) => boolean).call(host, event, ...args)
}

function requireMessage(message: unknown): void {
  if (message === undefined) throw coded(new TypeError('The "message" argument must be specified'), 'ERR_MISSING_ARGS')
  if (!SENDABLE.has(typeof message))
    throw coded(
      new TypeError('The "message" argument must be one of type string, object, number, or boolean.'),
      'ERR_INVALID_ARG_TYPE',
    )
}

function coded(error: Error, code: string): Error {
  return Object.assign(error, { code })
}
