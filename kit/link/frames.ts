/**
 * The wire format of the link, the one connection between a proxy and a worker that carries all their requests. Read by
 * `proxy/link/link.ts` and `app/host/link/link-connection.ts`; the two sides share nothing but `kit/link/`. A worker
 * runs other people's code, so the proxy checks that it keeps these rules: `proxy/link/link-promises.ts`.
 *
 * A frame is an 8-byte header and a payload: 24-bit length of the payload, 8-bit type, 32-bit request id, all little
 * endian. Id 0 speaks of the link itself. Ids are chosen by the proxy, ascending, and used again only when they are
 * free.
 *
 *     frame          from    payload
 *     hello          both    `daimyo-link/4`, the first frame of either side
 *     request        proxy   one latin1 string, see `encodeRequest`
 *     data           both    bytes of a request or response body
 *     end            both    proxy: the request body is complete, trailers joined by `\n`;
 *                            worker: the response is complete, one byte of RESPONSE_FLAG
 *     credit         both    32-bit number of bytes of that message's body that the receiver has passed on
 *     abort          both    proxy: the client is gone, the deadline passed, or nobody reads on;
 *                            worker: the response will never be complete, and why it cannot be passed on (nothing: the
 *                            application broke it off), or whoever reads the request body stops
 *     ping           proxy   id is the ping's number
 *     pong           worker  the same id; 32-bit event-loop lag of the last second in ms
 *     response       worker  16-bit status, one byte of RESPONSE_FLAG, then the bytes of an HTTP/1.1 response from
 *                            its first
 *     informational  worker  the bytes of a 1xx response, INTERIM_BYTES at most
 *     seen           worker  the application is about to see the request `id` and all that came before it
 *     stuck          worker  the event loop has not turned for a while, because it is in the request `id`
 *     harakiri       worker  32-bit number of ms that the request `id` may take from now on, 0 = no deadline
 *
 * Flow control: each side may send WINDOW_BYTES of a message's body (a response counts from its first head byte,
 * interim responses count too) beyond what the other side has returned as credit, so neither ever buffers more than
 * that for a slow peer. A worker never goes beyond it. A proxy looks at the window before it reads on, so what one read
 * brings (64 KB of a client), or what `post-buffering` holds, may go beyond it.
 *
 * Asides: `harakiri` and `stuck` are no replies. Between two pings a worker sends ASIDES_PER_PING of them at most.
 */

import { GatheredBytes } from './gathered-bytes.js'

export const LINK_VERSION = 'daimyo-link/4'

export const FRAME = {
  hello: 1,
  request: 2,
  data: 3,
  end: 4,
  credit: 5,
  abort: 6,
  ping: 7,
  pong: 8,
  response: 9,
  informational: 10,
  seen: 11,
  stuck: 12,
  harakiri: 13,
} as const

/** `expect`: the client waits for 100 (Continue). */
export const REQUEST_FLAG = { body: 1, close: 2, http10: 4, encrypted: 8, expect: 16 } as const
/**
 * `readsOn`: the response is complete and the request's body is not, but the application goes on reading it. `file`:
 * the head has an X-Accel-Redirect or X-Sendfile. `untilClose`: the head does not say where the body ends, so only the
 * end of the connection does.
 */
export const RESPONSE_FLAG = { complete: 1, close: 2, readsOn: 4, file: 8, untilClose: 16 } as const

export const FRAME_HEADER_BYTES = 8

/** Bytes of one message's body that may be under way without credit, in each direction. */
export const WINDOW_BYTES = 128 * 1024

/** A receiver returns credit in pieces of at least this size. */
export const LEAST_CREDIT_BYTES = WINDOW_BYTES / 4

/** Frames without a question that a worker may send between two pings. Half of them are for its watchdog thread. */
export const ASIDES_PER_PING = 4096

/**
 * The most of one interim response, in bytes of its head and in fields: the limit of Node's own client for all heads of
 * a response together (16 KB), and a hundred more fields than nginx's `early_hints` are used with. A longer one is no
 * valid response (502).
 */
export const INTERIM_BYTES = 16 * 1024
export const INTERIM_FIELDS = 128

/** The largest payload that a sender makes; a larger one means that the other side is not a link. */
export const MAX_PAYLOAD_BYTES = 1024 * 1024

/** A frame's header as a latin1 string, to be joined with a latin1 payload of `length` bytes. */
export function frameHeader(type: number, id: number, length: number): string {
  return String.fromCharCode(
    length & 255,
    (length >> 8) & 255,
    (length >> 16) & 255,
    type,
    id & 255,
    (id >> 8) & 255,
    (id >> 16) & 255,
    (id >>> 24) & 255,
  )
}

/** A whole frame as a latin1 string. */
export function frame(type: number, id: number, payload = ''): string {
  return frameHeader(type, id, payload.length) + payload
}

export function creditFrame(id: number, bytes: number): string {
  return frame(FRAME.credit, id, uint32(bytes))
}

export function harakiriFrame(id: number, ms: number): string {
  return frame(FRAME.harakiri, id, uint32(ms))
}

export function pongFrame(id: number, lagMs: number): string {
  return frame(FRAME.pong, id, uint32(lagMs))
}

function uint32(value: number): string {
  return String.fromCharCode(value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255)
}

export function responsePrefix(status: number, flags: number): string {
  return String.fromCharCode(status & 255, status >> 8, flags)
}

export const RESPONSE_PREFIX_BYTES = 3

export interface WireRequest {
  method: string
  target: string
  flags: number
  clientAddress: string
  clientPort: number
  /** Field names and values in turn, as Node's `rawHeaders`. */
  rawHeaders: string[]
}

/**
 * The payload of a request frame. `headers` is `\nname\nvalue` for each field; `\n` cannot occur in any of the parts,
 * which the parser guarantees. The fixed parts stand at the end, where `pop` takes them off without moving the fields.
 */
export function encodeRequest(
  method: string,
  target: string,
  headers: string,
  flags: number,
  clientAddress: string,
  clientPort: number,
): string {
  // `headers` begins with a separator: the first part of the split is empty and is used for the flags.
  return `${String.fromCharCode(48 + flags)}${headers}\n${clientPort}\n${clientAddress}\n${target}\n${method}`
}

export function decodeRequest(payload: string): WireRequest {
  const parts = payload.slice(2).split('\n')
  const method = parts.pop() ?? ''
  const target = parts.pop() ?? ''
  const clientAddress = parts.pop() ?? ''
  const clientPort = Number(parts.pop())
  return { method, target, flags: payload.charCodeAt(0) - 48, clientAddress, clientPort, rawHeaders: parts }
}

/**
 * RFC 9110 §9.2.2: sending the request twice has the effect of sending it once. Both sides of the link must agree on
 * this.
 */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'PUT':
    case 'DELETE':
      return true
    default:
      return false
  }
}

/** No sender makes such a frame: its type is unknown, or its payload is longer than any of its type. */
export class ImpossibleFrame extends RangeError {}

const MAX_HELLO_BYTES = 64

/** The longest payload of each type. There are no frames of another type. */
const MOST_PAYLOAD_BYTES: Readonly<Record<number, number>> = {
  [FRAME.hello]: MAX_HELLO_BYTES,
  [FRAME.request]: MAX_PAYLOAD_BYTES,
  [FRAME.data]: MAX_PAYLOAD_BYTES,
  [FRAME.end]: MAX_PAYLOAD_BYTES,
  [FRAME.credit]: 4,
  [FRAME.abort]: MAX_PAYLOAD_BYTES,
  [FRAME.ping]: 0,
  [FRAME.pong]: 4,
  [FRAME.response]: MAX_PAYLOAD_BYTES,
  [FRAME.informational]: MAX_PAYLOAD_BYTES,
  [FRAME.seen]: 0,
  [FRAME.stuck]: 0,
  [FRAME.harakiri]: 4,
}

/**
 * Checks the header of an incomplete frame: without this the link would wait for ever for the rest of a frame that no
 * sender makes.
 */
function requirePossible(type: number, payload: number): void {
  if (payload > (MOST_PAYLOAD_BYTES[type] ?? -1))
    throw new ImpossibleFrame(`frame of type ${type} and ${payload} bytes`)
}

/**
 * Receives one frame; its payload is `bytes` from `start` to `end`, and is valid until the caller of `read` reuses the
 * buffer.
 */
export type FrameListener = (type: number, id: number, bytes: Buffer, start: number, end: number) => void

/** An incomplete `data` frame is passed on in parts from this size on: joining it costs more than a write. */
const PART_BYTES = 16 * 1024

/** More frames than any read holds. */
const ANY_NUMBER = 0x3fffffff

/** Cuts a byte stream into frames, and long `data` frames into shorter ones. Throws `ImpossibleFrame`. */
export class FrameReader {
  readonly #listener: FrameListener
  /** A data frame that has been passed on in part: its id, and the bytes to come. */
  #partId = 0
  #partBytes = 0
  /** The beginning of an incomplete frame. */
  readonly #kept = new GatheredBytes()

  constructor(listener: FrameListener) {
    this.#listener = listener
  }

  /**
   * Reads the first `count` bytes of `buffer`, at most `most` frames. Returns how many bytes are done. The caller
   * passes the other bytes again, before any new ones.
   */
  read(buffer: Buffer, count = buffer.length, most = ANY_NUMBER): number {
    let offset = 0
    let left = most
    if (this.#partBytes > 0) offset = this.#continuePart(buffer, 0, count)
    else if (this.#kept.length > 0) offset = this.#continueKept(buffer, count)
    while (count - offset >= FRAME_HEADER_BYTES) {
      if (left === 0) return offset
      left -= 1
      const payload = payloadBytes(buffer, offset)
      const start = offset + FRAME_HEADER_BYTES
      if (count < start + payload) {
        requirePossible(buffer[offset + 3]!, payload)
        if (buffer[offset + 3] === FRAME.data && count - start >= PART_BYTES) {
          this.#partId = readId(buffer, offset + 4)
          this.#partBytes = payload
          offset = this.#continuePart(buffer, start, count)
        }
        break
      }
      this.#listener(buffer[offset + 3]!, readId(buffer, offset + 4), buffer, start, start + payload)
      offset = start + payload
    }
    if (offset < count) this.#kept.add(buffer, offset, count)
    return count
  }

  /** Passes on the available payload of the frame from `start`; returns where it ends. */
  #continuePart(bytes: Buffer, start: number, length: number): number {
    const end = Math.min(length, start + this.#partBytes)
    this.#partBytes -= end - start
    this.#listener(FRAME.data, this.#partId, bytes, start, end)
    return end
  }

  /**
   * Takes the missing bytes of the kept frame from the beginning of `buffer`, and passes the frame on if it is
   * complete; returns where the rest begins.
   */
  #continueKept(buffer: Buffer, count: number): number {
    const kept = this.#kept
    let offset = 0
    if (kept.length < FRAME_HEADER_BYTES) {
      offset = Math.min(count, FRAME_HEADER_BYTES - kept.length)
      kept.add(buffer, 0, offset)
      if (kept.length < FRAME_HEADER_BYTES) return offset
    }
    const payload = payloadBytes(kept.room, 0)
    requirePossible(kept.room[3]!, payload)
    const end = Math.min(count, offset + FRAME_HEADER_BYTES + payload - kept.length)
    kept.add(buffer, offset, end)
    const { room, length } = kept
    const type = room[3]!
    const id = readId(room, 4)
    if (length === FRAME_HEADER_BYTES + payload) {
      kept.clear()
      this.#listener(type, id, room, FRAME_HEADER_BYTES, length)
    } else if (type === FRAME.data && length - FRAME_HEADER_BYTES >= PART_BYTES) {
      kept.clear()
      this.#partId = id
      this.#partBytes = payload
      this.#continuePart(room, FRAME_HEADER_BYTES, length)
    }
    return end
  }
}

function payloadBytes(bytes: Buffer, at: number): number {
  const payload = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
  if (payload > MAX_PAYLOAD_BYTES) throw new ImpossibleFrame(`frame of ${payload} bytes`)
  return payload
}

/** `readUInt32LE` without its checks. */
function readId(bytes: Buffer, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
