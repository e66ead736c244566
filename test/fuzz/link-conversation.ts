/**
 * A hostile worker's end of a link against the real links and dispatcher of a proxy, in one process. Used by `link-frames.ts` (long) and by
 * `test/proxy/link/link-fuzz.ts` (short).
 *
 * Each conversation opens a link, has some requests in flight there (a reader, one that never reads, an upload, one that is given up), and says
 * what a generator of random numbers makes of legal frames: in their order, out of it, with other ids, cut, lengthened, with bits turned, or bytes without
 * sense. What is checked of each: every request has exactly one end; a client that does not read holds one window; the body's window does not grow;
 * a link that broke is closed; an honest worker beside it answers all the while.
 */

import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { WorkerAddress } from '../../kit/channel/messages.js'
import {
  creditFrame,
  FRAME,
  FrameReader,
  frame,
  harakiriFrame,
  LINK_VERSION,
  pongFrame,
  RESPONSE_FLAG,
  responsePrefix,
  WINDOW_BYTES,
} from '../../kit/link/frames.js'
import type { Client } from '../../proxy/exchange/client.js'
import { Exchange } from '../../proxy/exchange/exchange.js'
import { isRefusal } from '../../proxy/http/refusal.js'
import { parseRequestHead } from '../../proxy/http/request-head.js'
import { Dispatcher } from '../../proxy/link/dispatcher.js'
import type { Link, LinkEvents } from '../../proxy/link/link.js'
import { responderEvents } from '../proxy/fixtures/responder-events.js'
import { SETTINGS } from '../proxy/fixtures/rig.js'
import { type Random, randomNumbers } from './mutated-request.js'

/** What came of some conversations. */
export interface Tally {
  conversations: number
  frames: number
  /** Links that were closed for what came, and those that were not. */
  broken: number
  unbroken: number
  /** What should never be, null: it was not. */
  fault: string | null
}

const OK = 'HTTP/1.1 200 OK\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\n\r\n'
/** Frames of one conversation. */
const MOST_FRAMES = 200
const MOST_PIECE_BYTES = 20_000

class CountingClient implements Client {
  readonly waitingBytes = 0
  readonly address = '192.0.2.1'
  readonly port = 5
  readonly encrypted = false
  readonly closing = false
  readonly closingNow = false
  readonly reads: boolean
  bytes = 0
  onResume: () => void = () => {}

  constructor(reads: boolean) {
    this.reads = reads
  }

  write(bytes: string | Buffer): boolean {
    this.bytes += bytes.length
    return this.reads
  }

  writeLent(_: Buffer, start: number, end: number): boolean {
    this.bytes += end - start
    return this.reads
  }

  whenWritable(): void {}
  respond(): void {}
  completeResponse(): void {}
  breakResponse(): void {}
  readingStopped(): void {}

  resumeBody(): void {
    this.onResume()
  }
}

function exchangeOf(method: string, target: string, reads: boolean): Exchange {
  const length = method === 'GET' ? '' : 'Content-Length: 100000000\r\n'
  const head = parseRequestHead(`${method} ${target} HTTP/1.1\r\nHost: a\r\n${length}`.slice(0, -2))
  if (isRefusal(head)) throw new Error(head.reason)
  return new Exchange(head, new CountingClient(reads), 0)
}

/** Two workers, of which one is honest, and the proxy's side of both. */
export class LinkFuzz {
  readonly #folder: string
  readonly #seed: number
  #number: number
  #random: Random
  readonly #servers: Server[] = []
  readonly #dispatcher: Dispatcher
  readonly #ends = new Map<Exchange, number>()
  /** Those that were in flight when the link ended. */
  readonly #lostNow = new Set<Exchange>()
  #hostile: Socket | null = null
  #wake = () => {}
  #brokenWhy: string | null = null
  #hostileLink: Link | null = null
  #isLost = false
  #pings: number[] = []
  #fault: string | null = null
  /** Nothing is wrong in this conversation. */
  #isHonest = false

  private constructor(folder: string, seed: number, from: number) {
    this.#folder = folder
    this.#seed = seed
    this.#number = from
    this.#random = randomNumbers(seed, from)
    this.#dispatcher = new Dispatcher(
      { ...SETTINGS, workerConnections: 1000 },
      {
        ...this.#events(),
        assigned: (exchange, link) => link.send(exchange, false),
        left: () => {},
        starved: () => {},
      },
      responderEvents({
        failed: exchange => this.#ended(exchange),
        broken: exchange => this.#ended(exchange),
        badResponse: exchange => this.#ended(exchange),
      }),
    )
  }

  /** The conversations of one seed are numbered; `from`: the first one. */
  static async open(folder: string, seed: number, from = 0): Promise<LinkFuzz> {
    const fuzz = new LinkFuzz(folder, seed, from)
    await fuzz.#listen('honest', socket => answerAll(socket))
    await fuzz.#listen('hostile', socket => fuzz.#accept(socket))
    fuzz.#dispatcher.connect(fuzz.#address('honest', 1))
    while (!fuzz.#dispatcher.links[0]?.open) await fuzz.#more()
    return fuzz
  }

  close(): void {
    for (const link of this.#dispatcher.links) link.dismiss()
    for (const server of this.#servers) server.close()
  }

  /** Says `frames` frames, more or less, in as many conversations as that takes. */
  async converse(frames: number): Promise<Tally> {
    const tally: Tally = { conversations: 0, frames: 0, broken: 0, unbroken: 0, fault: null }
    while (tally.frames < frames && tally.fault === null) {
      tally.frames += await this.#converse()
      tally.conversations += 1
      if (this.#brokenWhy === null) tally.unbroken += 1
      else tally.broken += 1
      tally.fault = this.#fault
    }
    return tally
  }

  async #converse(): Promise<number> {
    this.#random = randomNumbers(this.#seed, this.#number)
    this.#number += 1
    const random = this.#random
    this.#brokenWhy = null
    this.#hostileLink = null
    this.#isLost = false
    this.#pings = []
    this.#hostile = null
    this.#ends.clear()
    this.#dispatcher.connect(this.#address('hostile', 2))
    while (this.#hostile === null) await this.#more()
    const socket = this.#hostile as Socket
    if (random(20) > 0) {
      socket.write(frame(FRAME.hello, 0, LINK_VERSION), 'latin1')
      while (this.#hostileLink === null) await this.#more()
    }
    const link = this.#hostileLink as Link | null
    const exchanges = link === null ? [] : this.#ask(link)
    const { text, count } = this.#words()
    for (let at = 0; at < text.length && !this.#isLost; ) {
      const length = random(4) === 0 ? 1 + random(20) : 1 + random(MOST_PIECE_BYTES)
      const piece = text.slice(at, at + length)
      at += length
      if (!socket.write(piece, 'latin1'))
        await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {})
      if (random(8) === 0) link?.ping(1)
      if (random(8) === 0) await this.#turn()
    }
    await this.#honestAnswers()
    socket.destroy()
    while (!this.#isLost) await this.#more()
    this.#check(exchanges)
    return count
  }

  /** What an honest worker says, mostly with one thing wrong in it; or anything. */
  #words(): { text: string; count: number } {
    const random = this.#random
    const kind = random(6)
    this.#isHonest = kind === 2
    const frames = kind === 0 ? Array.from({ length: random(MOST_FRAMES) }, () => this.#frame()) : this.#honest()
    if (kind === 1) for (const at of frames.keys()) if (random(4) === 0) frames[at] = this.#mutated(frames[at]!)
    if (kind >= 3 && frames.length > 0) {
      const at = random(frames.length)
      if (random(2) === 0) frames[at] = this.#mutated(frames[at]!)
      else frames.splice(at, 0, this.#frame())
    }
    return { text: frames.join(''), count: frames.length }
  }

  /** Of each request in its order, and of all of them in any. */
  #honest(): string[] {
    const streams = [1, 2, 4, 5, 6].map(id => this.#answer(id))
    streams.push(['seen 3', 'seen 4'].map((_, at) => frame(FRAME.seen, 3 + at)))
    streams.push([creditFrame(3, 32_768), creditFrame(3, 32_768), creditFrame(6, 65_536), ...this.#answer(3)])
    streams.push(
      Array.from({ length: this.#random(50) }, (_, at) =>
        at % 2 === 0 ? frame(FRAME.stuck, 1) : harakiriFrame(2, at),
      ),
    )
    const frames: string[] = []
    for (let left = streams; left.length > 0; left = left.filter(stream => stream.length > 0)) {
      const next = left[this.#random(left.length)]!.shift()
      if (next !== undefined) frames.push(next)
    }
    return frames
  }

  #answer(id: number): string[] {
    const random = this.#random
    const hints = Array.from({ length: random(3) }, () => frame(FRAME.informational, id, HINTS))
    if (random(4) === 0) return [...hints, frame(FRAME.response, id, responsePrefix(200, RESPONSE_FLAG.complete) + OK)]
    let left = WINDOW_BYTES - OK.length - hints.length * HINTS.length
    const frames = [...hints, frame(FRAME.response, id, responsePrefix(200, 0) + OK)]
    for (let count = random(40); count > 0 && left > 0; count--) {
      const bytes = 1 + random(Math.min(left, random(4) === 0 ? 65_536 : 300))
      left -= bytes
      frames.push(frame(FRAME.data, id, 'x'.repeat(bytes)))
    }
    if (random(3) > 0) frames.push(random(8) === 0 ? frame(FRAME.abort, id) : frame(FRAME.end, id, '\0'))
    return frames
  }

  #frame(): string {
    const random = this.#random
    const id = this.#id()
    const text = 'x'.repeat(random(random(20) === 0 ? 100_000 : 200))
    switch (random(12)) {
      case 0:
        return frame(FRAME.response, id, responsePrefix(200, random(3)) + OK + text)
      case 1:
        return frame(FRAME.response, id, responsePrefix(200, RESPONSE_FLAG.complete) + OK)
      case 2:
      case 3:
        return frame(FRAME.data, id, `${text}x`)
      case 4:
        return frame(FRAME.end, id, String.fromCharCode(random(32)))
      case 5:
        return creditFrame(id, random(3) === 0 ? random(0xffffffff) : 32_768)
      case 6:
        return frame(FRAME.abort, id, random(2) === 0 ? '' : text)
      case 7:
        return pongFrame(this.#pings.shift() ?? random(10), 1)
      case 8:
        return frame(FRAME.informational, id, HINTS)
      case 9:
        return frame(FRAME.seen, id)
      case 10:
        return frame(FRAME.stuck, id)
      default:
        return harakiriFrame(id, random(10_000))
    }
  }

  #id(): number {
    const random = this.#random
    return random(10) === 0 ? random(0xffffffff) : 1 + random(7)
  }

  #mutated(text: string): string {
    const random = this.#random
    const at = random(text.length)
    switch (random(6)) {
      case 0:
        return text.slice(0, at)
      case 1:
        return text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at)
      case 2:
        return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << random(8))) + text.slice(at + 1)
      case 3:
        return text + text
      case 4:
        return Array.from({ length: random(100) }, () => String.fromCharCode(random(256))).join('')
      default:
        return frame(random(256), this.#id(), text.slice(8))
    }
  }

  /** Ids 1 to 6. */
  #ask(link: Link): Exchange[] {
    const exchanges = [
      exchangeOf('GET', '/reads', true),
      exchangeOf('GET', '/deaf', false),
      exchangeOf('POST', '/upload', true),
      exchangeOf('POST', '/given-up', true),
      exchangeOf('GET', '/given-up', true),
      exchangeOf('PUT', '/deaf', false),
    ]
    for (const exchange of exchanges) link.send(exchange, false)
    for (const upload of [exchanges[2]!, exchanges[5]!]) {
      const client = upload.client as CountingClient
      const piece = Buffer.alloc(64 * 1024)
      client.onResume = () => {
        const home = upload.attempt ?? upload.reader
        if (upload.bodyWindow > WINDOW_BYTES) this.#fault = `a body's window of ${upload.bodyWindow}`
        if (home !== null && upload.bodyWindow > 0) home.sendBody(upload, piece)
      }
      client.onResume()
    }
    link.cancel(exchanges[3]!, false)
    link.cancel(exchanges[4]!, false)
    return exchanges
  }

  #check(exchanges: Exchange[]): void {
    for (const [index, exchange] of exchanges.entries()) {
      const ends = this.#ends.get(exchange) ?? 0
      const isGivenUp = index === 3 || index === 4
      if (ends !== (isGivenUp ? 0 : 1)) this.#fault ??= `${exchange.title} has ${ends} ends`
      const client = exchange.client as CountingClient
      if (!client.reads && client.bytes > WINDOW_BYTES + HINTS.length)
        this.#fault ??= `${exchange.title} holds ${client.bytes} bytes`
      if (exchange.attempt !== null || exchange.reader !== null)
        this.#fault ??= `${exchange.title} is at a link that is gone`
      const isUnseen = exchange.head.method === 'POST' && !exchange.seen && exchange.replayable !== null
      if (index === 2 && this.#brokenWhy !== null && isUnseen && !exchange.responseBegun && this.#lostNow.has(exchange))
        this.#fault ??= 'a POST of a broken link might be sent again'
    }
    if (this.#brokenWhy !== null && !/^it [ -~]{5,300}$/.test(this.#brokenWhy))
      this.#fault ??= `why: ${this.#brokenWhy}`
    if (this.#isHonest && this.#hostileLink !== null && this.#brokenWhy !== null)
      this.#fault ??= `an honest worker: ${this.#brokenWhy}`
    if (this.#dispatcher.links.length !== 1) this.#fault ??= 'the link is still there'
    this.#dispatcher.gone(2, 'crashed')
    this.#lostNow.clear()
  }

  async #honestAnswers(): Promise<void> {
    const exchange = exchangeOf('GET', '/honest', true)
    const honest = this.#dispatcher.links.find(link => link.worker.workerId === 1)
    if (honest === undefined) {
      this.#fault ??= 'the honest link is gone'
      return
    }
    honest.send(exchange, false)
    while (!this.#ends.has(exchange)) await this.#more()
    if ((exchange.client as CountingClient).bytes !== OK.length) this.#fault ??= 'the honest answer is another'
    this.#ends.delete(exchange)
  }

  #ended(exchange: Exchange): void {
    this.#ends.set(exchange, (this.#ends.get(exchange) ?? 0) + 1)
    this.#wake()
  }

  #events(): LinkEvents {
    return {
      linked: link => {
        this.#dispatcher.linked(link)
        if (link.worker.workerId === 2) this.#hostileLink = link
        this.#wake()
      },
      completed: exchange => this.#ended(exchange),
      broke: (link, why) => {
        if (link.worker.workerId === 1) this.#fault ??= `the honest link: ${why}`
        this.#brokenWhy = why
      },
      lost: (link, exchanges) => {
        this.#dispatcher.lost(link)
        for (const exchange of exchanges) {
          this.#lostNow.add(exchange)
          this.#ended(exchange)
        }
        if (link.worker.workerId === 2) this.#isLost = true
        this.#wake()
      },
      freed: link => this.#dispatcher.freed(link),
    }
  }

  #accept(socket: Socket): void {
    this.#hostile = socket
    const reader = new FrameReader((type, id) => {
      if (type === FRAME.ping) this.#pings.push(id)
    })
    socket.on('data', chunk => reader.read(chunk))
    socket.on('error', () => {})
    this.#wake()
  }

  async #listen(name: string, accept: (socket: Socket) => void): Promise<void> {
    const server = createServer(accept).listen(join(this.#folder, name))
    this.#servers.push(server)
    await once(server, 'listening')
  }

  #address(name: string, workerId: number): WorkerAddress {
    const linkPath = join(this.#folder, name)
    return { workerId, slot: workerId, pid: 0, generation: 1, socketPath: '', linkPath, tunnelPath: '' }
  }

  #more(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }

  #turn(): Promise<void> {
    return new Promise(resolve => setImmediate(resolve))
  }
}

/** A worker that keeps its word. */
function answerAll(socket: Socket): void {
  const say = (text: string) => void socket.write(text, 'latin1')
  const reader = new FrameReader((type, id) => {
    if (type === FRAME.request) say(frame(FRAME.response, id, responsePrefix(200, RESPONSE_FLAG.complete) + OK))
    if (type === FRAME.ping) say(pongFrame(id, 0))
  })
  socket.on('data', chunk => reader.read(chunk))
  socket.on('error', () => {})
  say(frame(FRAME.hello, 0, LINK_VERSION))
}
