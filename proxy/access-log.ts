/**
 * One line for each request, in nginx's `combined` format with three fields more: seconds until the answer was complete, the
 * slot of the worker that answered (`-`: none), and how many workers were tried. Called by `phases.ts` when a request is over.
 *
 *     127.0.0.1 - - [21/Nov/2026:10:00:00 +0000] "GET /api/x HTTP/1.1" 200 312 "-" "curl/8.5" 0.003 2 1
 *
 * The byte count is of all bytes of the answer, its head included. Lines are gathered and written twice a second.
 */

import { openSync } from 'node:fs'
import type { SonicBoom } from 'sonic-boom'
import sonicBoom from 'sonic-boom'
import { logDate } from './clock.js'
import type { Exchange } from './exchange.js'

const STANDARD_OUTPUT = 1
/** Handed over at once: sonic-boom counts the bytes of all that it holds at each write, which per line would cost a fifth of the proxy's time. */
const GATHERED_BYTES = 64 * 1024
/** When the disk does not keep up, lines beyond this are dropped: requests go on. */
const MOST_BYTES = 16 * 1024 * 1024
const FLUSH_MS = 500
/** How long the end of the process waits for the last lines. */
const CLOSE_MS = 1000

export class AccessLog {
  readonly #path: string
  readonly #onTrouble: (reason: string) => void
  readonly #timer: NodeJS.Timeout
  readonly #told = new Set<string>()
  #boom: SonicBoom
  /** Whole lines, ASCII. */
  #gathered = ''
  /** Lines lost since the start, to a full or vanished disk. */
  dropped = 0

  /** `onTrouble` is told once about each kind of failure; an empty path is standard output. Throws where the file cannot be opened. */
  constructor(path: string, onTrouble: (reason: string) => void) {
    this.#path = path
    this.#onTrouble = onTrouble
    this.#boom = this.#open()
    this.#timer = setInterval(() => this.#handOver(), FLUSH_MS)
    this.#timer.unref()
  }

  write(exchange: Exchange, now: number): void {
    const { head, client } = exchange
    this.#gather(
      `${client.address} - - [${logDate()}] "${head.method} ${quotable(head.target)} HTTP/1.${head.httpMinor}" ` +
        `${exchange.status} ${exchange.sentBytes} "${quotable(head.referer) || '-'}" "${quotable(head.userAgent) || '-'}" ` +
        `${((now - exchange.startMs) / 1000).toFixed(3)} ${exchange.slot === 0 ? '-' : exchange.slot} ${exchange.attempts}\n`,
    )
  }

  /** A request whose head was not believed: nothing of it is repeated. */
  writeRefused(address: string, status: number): void {
    this.#gather(`${address} - - [${logDate()}] "-" ${status} 0 "-" "-" 0.000 - 0\n`)
  }

  /** Opens the path again, after a rotation. The master has made the file for us; if it cannot be opened, the old one stays. */
  reopen(): void {
    if (this.#path === '') return
    this.#handOver()
    const rotated = this.#boom
    try {
      this.#boom = this.#open()
    } catch (error) {
      return this.#trouble(error as NodeJS.ErrnoException)
    }
    rotated.end()
  }

  /** Writes what was gathered; for the end of the process, which waits neither for a full disk nor for a stuck reader. */
  close(): Promise<void> {
    clearInterval(this.#timer)
    this.#handOver()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, CLOSE_MS)
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#boom.once('close', done).once('error', done)
      this.#boom.end()
    })
  }

  #gather(line: string): void {
    this.#gathered += line
    if (this.#gathered.length >= GATHERED_BYTES) this.#handOver()
  }

  #handOver(): void {
    const lines = this.#gathered
    this.#gathered = ''
    if (lines !== '') this.#boom.write(lines)
  }

  /** Opened here and not by SonicBoom, so that a path that cannot be opened is known at once. */
  #open(): SonicBoom {
    const fd = this.#path === '' ? STANDARD_OUTPUT : openSync(this.#path, 'a', 0o640)
    const boom = new sonicBoom.SonicBoom({ fd, maxWrite: 2 * GATHERED_BYTES, maxLength: MOST_BYTES, sync: false })
    boom.on('error', (error: NodeJS.ErrnoException) => this.#trouble(error))
    boom.on('drop', (lines: string) => {
      this.dropped += lines.split('\n').length - 1
    })
    return boom
  }

  #trouble(error: NodeJS.ErrnoException): void {
    const reason = error.code ?? error.message
    if (!this.#told.has(reason)) this.#onTrouble(reason)
    this.#told.add(reason)
  }
}

/** Quotes, backslashes and what is not printable ASCII as `\xNN`, as nginx does: a line cannot be forged. */
function quotable(text: string): string {
  if (!/["\\\x00-\x1f\x7f-\xff]/.test(text)) return text
  return text.replace(
    /["\\\x00-\x1f\x7f-\xff]/g,
    one => `\\x${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
