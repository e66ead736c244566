/**
 * `process.send`, `process.connected`, `process.disconnect`, `process.channel` and the message `shutdown`, as an
 * application has them whose master is PM2, and as many call them without a look. Nothing goes through: what it sends
 * is taken and dropped, but for `ready`, which `wait-ready` waits for. Installed by `main.ts` before the application is
 * loaded; the master's own line is another one (`master-channel.ts`), which the application does not see.
 *
 * What must stay true: it harms nobody. It keeps no process alive, never says `disconnect` or `error` by itself, and
 * throws only what Node's throws for a message that is none.
 */

type Sent = (error: Error | null) => void

/** What Node's channel takes (`target.send` in lib/internal/child_process.js). */
const SENDABLE = new Set(['string', 'object', 'number', 'boolean'])

/** Messages of PM2's, each the whole message. */
const READY = 'ready'
const SHUTDOWN = 'shutdown'

/** The part of `process` that is given to the application. */
type Host = Pick<NodeJS.Process, 'emit' | 'listenerCount'>

export class ApplicationChannel {
  readonly #host: Host
  #isConnected = true
  #tellReady = () => {}
  /** Fulfilled once the application has said `ready`. */
  readonly ready = new Promise<void>(resolve => {
    this.#tellReady = resolve
  })

  constructor(host: Host) {
    this.#host = host
  }

  /** Somebody may wait for `shutdown`. */
  get isListenedTo(): boolean {
    return this.#isConnected && this.#host.listenerCount('message') > 0
  }

  /** Gives it to the application: as in Node, plain properties, which it may replace. */
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

  /** The application is to end. */
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

/** The events are not among those that the types know. */
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
