/**
 * A `stream.Duplex` by its prototype, whose inner stream states are made when they are first read. Base of
 * `virtual-socket.ts`: each request makes one, which is hardly ever used as a stream, so making the two states for each
 * would be work for nothing.
 *
 * What must stay true: a reader of the states finds what `new Duplex()` would have given, because every use of a stream
 * goes through `_readableState` and `_writableState` (lib/internal/streams of Node 20 to 26). The exceptions are `on`
 * and the getters below, which would make the states without need.
 */

import { EventEmitter } from 'node:events'
import { Duplex } from 'node:stream'

/** As a socket of Node, which emits `close` itself when its handle is closed. */
const OPTIONS = { autoDestroy: false, emitClose: false, decodeStrings: false }

type StateName = '_readableState' | '_writableState'

/** Where a stream keeps its states. Properties defined on demand would cost a slow call for each request. */
const KEPT = { _readableState: Symbol('readable state'), _writableState: Symbol('writable state') } as const

type Kept = Record<(typeof KEPT)[StateName], object | null>

/** Never used as a stream. Its state holds what a fresh state holds. */
const template = new Duplex(OPTIONS)

function statesOf(stream: Duplex): Record<StateName, object> {
  return stream as unknown as Record<StateName, object>
}

/** A listener to one of these events starts reading. */
const READING = new Set<string | symbol>(['data', 'readable'])

function Bare(this: Kept) {
  this[KEPT._readableState] = null
  this[KEPT._writableState] = null
}
Object.setPrototypeOf(Bare, Duplex)
Object.setPrototypeOf(Bare.prototype, Duplex.prototype)

/** The descriptor of an accessor of Duplex, wherever in its prototype chain it is. */
function accessorOf(name: string): PropertyDescriptor {
  for (let from: object | null = Duplex.prototype; from !== null; from = Object.getPrototypeOf(from)) {
    const descriptor = Object.getOwnPropertyDescriptor(from, name)
    if (descriptor !== undefined) return descriptor
  }
  return {}
}

function lazily(name: StateName, make: () => object): PropertyDescriptor {
  const key = KEPT[name]
  return {
    get(this: Kept) {
      this[key] ??= make()
      return this[key]
    },
    set(this: Kept, value: object) {
      this[key] = value
    },
    enumerable: true,
    configurable: true,
  }
}

/** An accessor of Duplex that returns `otherwise` as long as `state` was not read. */
function unless(state: StateName, name: string, otherwise: unknown): PropertyDescriptor {
  const accessor = accessorOf(name)
  const key = KEPT[state]
  return {
    ...accessor,
    get(this: Kept) {
      return this[key] === null ? otherwise : accessor.get?.call(this)
    },
  }
}

type Listen = (this: object, event: string | symbol, listener: () => void) => unknown

/** The method of Duplex for listeners that concern reading, and the plain one of EventEmitter for all others. */
function listening(ofDuplex: Listen, ofEmitter: Listen): PropertyDescriptor {
  const value: Listen = function (event, listener) {
    return (READING.has(event) ? ofDuplex : ofEmitter).call(this, event, listener)
  }
  return { value, writable: true, configurable: true }
}

const on = listening(Duplex.prototype.on, EventEmitter.prototype.on)
const off = listening(Duplex.prototype.removeListener, EventEmitter.prototype.removeListener)

Object.defineProperties(Bare.prototype, {
  _readableState: lazily('_readableState', () => statesOf(new Duplex(OPTIONS))._readableState),
  // `end` of every response sets `corked`. Nothing is ever written through this state (`VirtualSocket.write`), so a
  // state that inherits is enough.
  _writableState: lazily('_writableState', () => Object.create(statesOf(template)._writableState)),
  allowHalfOpen: { value: true, writable: true, enumerable: true, configurable: true },
  readableHighWaterMark: unless('_readableState', 'readableHighWaterMark', template.readableHighWaterMark),
  // Destroying reads both states.
  destroyed: unless('_readableState', 'destroyed', false),
  writable: unless('_readableState', 'writable', true),
  on,
  addListener: on,
  removeListener: off,
  off,
})

/** A class that extends this is a Duplex, lazily. */
export const LazyDuplex = Bare as unknown as new () => Duplex
