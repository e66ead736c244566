/**
 * A `stream.Duplex` that is one by its prototype, and whose streams' inner state is made when somebody first asks for it. Base of `virtual-socket.ts`, one
 * of which is made for each request and hardly ever used as a stream: to make the two states for each is work for nothing.
 *
 * What must stay true: whoever looks finds what `new Duplex()` would have given, since every use of it goes through `_readableState` and `_writableState`
 * (lib/internal/streams of Node 20 to 26), but for `on` and the getters below, which would ask for them without need.
 */

import { EventEmitter } from 'node:events'
import { Duplex } from 'node:stream'

/** As a socket of Node's, which says `close` itself, once its handle is closed. */
const OPTIONS = { autoDestroy: false, emitClose: false, decodeStrings: false }

interface StreamStates {
  _readableState: object
  _writableState: object
}

/** Never used as a stream. What is inherited from its state is what a fresh one holds. */
const template = new Duplex(OPTIONS)

/** Events at whose listeners a Readable begins to read. */
const READING = new Set<string | symbol>(['data', 'readable'])

function Bare() {}
Object.setPrototypeOf(Bare, Duplex)
Object.setPrototypeOf(Bare.prototype, Duplex.prototype)

/** The descriptor of an accessor of Duplex, wherever in its chain it stands. */
function accessorOf(name: string): PropertyDescriptor {
  for (let from: object | null = Duplex.prototype; from !== null; from = Object.getPrototypeOf(from)) {
    const descriptor = Object.getOwnPropertyDescriptor(from, name)
    if (descriptor !== undefined) return descriptor
  }
  return {}
}

/** Defines the state as the stream's own property, as the constructor of Duplex would have done. */
function own<Name extends keyof StreamStates>(stream: object, name: Name, value: StreamStates[Name]): object {
  Object.defineProperty(stream, name, { value, writable: true, enumerable: true, configurable: true })
  return value
}

function lazily(name: keyof StreamStates, make: () => object): PropertyDescriptor {
  return {
    get(this: object) {
      return own(this, name, make())
    },
    set(this: object, value: object) {
      own(this, name, value)
    },
    configurable: true,
  }
}

/** An accessor of Duplex that answers `otherwise` as long as `state` was not asked for. */
function unless(state: keyof StreamStates, name: string, otherwise: unknown): PropertyDescriptor {
  const accessor = accessorOf(name)
  return {
    ...accessor,
    get(this: object) {
      return Object.hasOwn(this, state) ? accessor.get?.call(this) : otherwise
    },
  }
}

type Listen = (this: object, event: string | symbol, listener: () => void) => unknown

/** A method of Duplex for listeners that concern its reading, and the plain one of EventEmitter for all others. */
function listening(ofDuplex: Listen, ofEmitter: Listen): PropertyDescriptor {
  const value: Listen = function (event, listener) {
    return (READING.has(event) ? ofDuplex : ofEmitter).call(this, event, listener)
  }
  return { value, writable: true, configurable: true }
}

const on = listening(Duplex.prototype.on, EventEmitter.prototype.on)
const off = listening(Duplex.prototype.removeListener, EventEmitter.prototype.removeListener)

Object.defineProperties(Bare.prototype, {
  _readableState: lazily('_readableState', () => (new Duplex(OPTIONS) as unknown as StreamStates)._readableState),
  // `end` of every response sets `corked`. Nothing is ever written through this state (`VirtualSocket.write`), so that one which inherits will do.
  _writableState: lazily('_writableState', () => Object.create((template as unknown as StreamStates)._writableState)),
  allowHalfOpen: { value: true, writable: true, enumerable: true, configurable: true },
  readableHighWaterMark: unless('_readableState', 'readableHighWaterMark', template.readableHighWaterMark),
  // Destroying asks for both states.
  destroyed: unless('_readableState', 'destroyed', false),
  writable: unless('_readableState', 'writable', true),
  on,
  addListener: on,
  removeListener: off,
  off,
})

/** What a class extends to be a Duplex lazily. */
export const LazyDuplex = Bare as unknown as new () => Duplex
