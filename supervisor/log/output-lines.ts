/**
 * The output of children on its way to the master's log. Whole lines only, so two children never share a line; with
 * back-pressure: while the log is behind, the pipes are not read. Must stay true: nothing here grows beyond
 * LONGEST_LINE_BYTES a stream, however much a child prints.
 */

import type { Readable } from 'node:stream'
import { cutText } from '../../kit/ground/cut-text.js'
import { GatheredBytes } from '../../kit/link/gathered-bytes.js'
import { CONTINUED, LinePriorities, PRIORITY } from './journal.js'

/**
 * The destination of output. If `write` returns false, nothing more is read from the children until `onDrain` calls.
 */
export interface OutputSink {
  write(chunk: Uint8Array): boolean
  onDrain(listener: () => void): unknown
  /** The destination is the journal of systemd: each line has a priority in front. */
  isJournal?: boolean
}

/** How one stream of a child is forwarded. */
export interface Forwarding {
  /** Sees each line, without its newline, cut at the bound. */
  onLine?: (line: string) => void
  /** Each line gets `[name] ` in front. */
  name?: string
  /** The stream is standard error. */
  isError?: boolean
}

const LONGEST_LINE_BYTES = 64 * 1024
const NEWLINE = 10

/**
 * Reads all streams of children while the sink takes bytes, and none while it does not: with one more piece from each
 * of many streams the sink would have to drop lines.
 */
export class OutputGate {
  readonly #sink: OutputSink
  readonly #streams = new Set<Readable>()
  #isOpen = true

  constructor(sink: OutputSink) {
    this.#sink = sink
    sink.onDrain(() => this.#open())
  }

  /** Forwards the lines of `stream` until it ends. */
  forward(stream: Readable, { onLine, name, isError = false }: Forwarding = {}): void {
    const prefix = name === undefined ? '' : `[${name}] `
    const marks = this.#sink.isJournal ? new LinePriorities(isError ? PRIORITY.warning : PRIORITY.info) : null
    const lines = new WholeLines(bytes => {
      if (onLine !== undefined) for (const line of bytes.toString('utf8').trimEnd().split('\n')) onLine(line)
      if (!this.#sink.write(marks === null ? named(prefix, bytes) : marks.mark(bytes, prefix))) this.#close()
    })
    this.#streams.add(stream)
    stream.on('data', (chunk: Buffer) => lines.push(chunk))
    if (!this.#isOpen) stream.pause()
    stream.on('close', () => {
      this.#streams.delete(stream)
      lines.end()
    })
    // A broken pipe means the same as its end; 'close' follows.
    stream.on('error', () => {})
  }

  #close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    for (const stream of this.#streams) stream.pause()
  }

  #open(): void {
    this.#isOpen = true
    for (const stream of this.#streams) stream.resume()
  }
}

function named(prefix: string, lines: Buffer): Buffer {
  if (prefix === '') return lines
  const bytes = Buffer.from(prefix).toString('latin1')
  const text = lines.toString('latin1').replace(/[^\n]*\n/g, line => bytes + line)
  return Buffer.from(text, 'latin1')
}

/** Cuts a byte stream into runs of whole lines; a line that is too long is broken. */
export class WholeLines {
  readonly #take: (lines: Buffer) => void
  /** A copy: each piece has a few hundred bytes of overhead, and a child decides how many pieces there are. */
  readonly #rest = new GatheredBytes()
  /** The next bytes belong to a line of which the beginning was taken. */
  #isBroken = false

  /** `take` gets one or more lines, each with its newline. */
  constructor(take: (lines: Buffer) => void) {
    this.#take = take
  }

  push(chunk: Buffer): void {
    if (this.#isBroken && chunk[0] !== NEWLINE) this.#rest.addText(CONTINUED)
    this.#isBroken = false
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end > 0) {
      if (this.#rest.length > 0) this.#rest.add(chunk, 0, end)
      this.#take(this.#rest.length === 0 ? chunk.subarray(0, end) : this.#rest.take())
    }
    if (end === chunk.length) return
    this.#rest.add(chunk, end)
    if (this.#rest.length < LONGEST_LINE_BYTES) return
    this.end()
    this.#isBroken = true
  }

  /** The last line may lack its newline. */
  end(): void {
    if (this.#rest.length === 0) return
    this.#rest.addText('\n')
    this.#take(this.#rest.take())
  }
}

/**
 * The last lines of a stream, for the message about a worker that did not start. Before them stands the message of the
 * last error, which may have a long stack.
 */
export class LastLines {
  readonly #lines: string[] = []
  #error = ''
  /** Number of lines since the message of the error, including this message. */
  #behind = 0

  push(line: string): void {
    const cut = cutText(line, LINE_CHARACTERS)
    this.#behind += 1
    if (ERROR_MESSAGE.test(cut)) {
      this.#error = cut
      this.#behind = 1
    }
    this.#lines.push(cut)
    if (this.#lines.length > LINES) this.#lines.shift()
  }

  all(): string[] {
    const isAbove = this.#error !== '' && this.#behind > LINES
    return isAbove ? [this.#error, CUT_OUT, ...this.#lines] : [...this.#lines]
  }
}

/** The first line of an error, as Node and most loggers print it. */
const ERROR_MESSAGE = /^(Uncaught )?[\w$]*(Error|Exception)\b/
const CUT_OUT = '    …'
const LINES = 20
const LINE_CHARACTERS = 500
