/**
 * One line for each request, in nginx's `combined` format with three more fields: seconds until the response was
 * complete, the slot of the worker that responded (`-`: none), and how many workers were tried. Written when a request
 * is over: `RequestLifecycle.#close`, `Refusals`.
 *
 *     127.0.0.1 - - [21/Nov/2026:10:00:00 +0000] "GET /api/x HTTP/1.1" 200 312 "-" "curl/8.5" 0.003 2 1
 *
 * With `log-request-id` the X-Request-Id stands behind them. The client is the one that a trusted proxy names, if there
 * is one; `unix:` stands for a client of a unix socket that no proxy names. The byte count is that of the sent bytes:
 * with the head for a response of an application or a file, only the body for a response of the proxy's own. Lines are
 * gathered as bytes and written twice a second: as strings they would live until then, and every scavenge would have to
 * move them.
 */

import { LogSink } from '../../kit/log/log-sink.js'
import type { Client } from '../exchange/client.js'
import type { Exchange } from '../exchange/exchange.js'
import { passedMs } from '../process/clock.js'

/** Gathered lines are handed over at this size: a write for each line would cost a fifth of the proxy's time. */
const GATHERED_BYTES = 64 * 1024
/** If the disk does not keep up, lines beyond this are lost: requests go on. */
const MOST_BYTES = 16 * 1024 * 1024
const FLUSH_MS = 500
/**
 * Of a target, a referer or a user agent in a line for standard output, which may be the journal: journald breaks a
 * line of 48 KB, and the rest would look like a line of its own.
 */
const LONGEST_FIELD_CHARACTERS = 12_000
/** The wall clock is read this often: reading it for each line costs a hundredth of the proxy's time. */
const DATE_MS = 50

type Peer = Pick<Client, 'address' | 'overUnix'>

export class AccessLog {
  readonly #sink: LogSink
  readonly #isStandardOutput: boolean
  readonly #timer: NodeJS.Timeout
  /** `log-request-id`. */
  endsWithRequestId = false
  /** Whole lines, ASCII, up to `#used`. */
  #gathered = Buffer.allocUnsafeSlow(GATHERED_BYTES)
  #used = 0
  /** The text between address and request line, and the monotonic time at which it was made. */
  #date = ''
  #datedMs = Number.NEGATIVE_INFINITY
  /**
   * The last client's fields, and their printed form: the requests of a client come in a row, and many clients are of
   * one kind.
   */
  #referer = ''
  #userAgent = ''
  #asker = '"-" "-"'

  /**
   * `onWriteError` is called once when the log cannot be written or opened again. An empty path is standard output.
   * Throws a Failure if the file cannot be opened.
   */
  constructor(path: string, onWriteError: (why: string) => void) {
    const writeError = (line: string) => onWriteError(line.replace(/^daimyo: /, '').trim())
    this.#isStandardOutput = path === ''
    this.#sink = new LogSink({ path: path === '' ? null : path, owner: null, writeError, longestBytes: MOST_BYTES })
    this.#timer = setInterval(() => this.#handOver(), FLUSH_MS)
    this.#timer.unref()
  }

  /** Bytes lost since the start, to a full or vanished disk. */
  get lostBytes(): number {
    return this.#sink.allLostBytes
  }

  write(exchange: Exchange, nowMs: number): void {
    const { head, origin } = exchange
    const requestId = this.endsWithRequestId ? ` ${exchange.requestId || '-'}` : ''
    if (nowMs - this.#datedMs >= DATE_MS) {
      this.#datedMs = nowMs
      this.#date = ` - - [${logDate()}] "`
    }
    if (head.userAgent !== this.#userAgent || head.referer !== this.#referer) {
      this.#userAgent = head.userAgent
      this.#referer = head.referer
      this.#asker = `"${this.#quotable(head.referer) || '-'}" "${this.#quotable(head.userAgent) || '-'}"`
    }
    this.#gather(
      `${origin === exchange.client ? peerOf(exchange.client) : origin.address}${this.#date}${head.method} ${this.#quotable(head.target)} HTTP/1.${head.httpMinor}" ` +
        `${exchange.status} ${exchange.sentBytes} ${this.#asker} ` +
        `${printSeconds(passedMs(exchange.startMs, nowMs))} ${exchange.slot === 0 ? '-' : exchange.slot} ${exchange.attempts}${requestId}\n`,
    )
  }

  /** A refused request: nothing of its head is repeated. `sentBytes`: of the body of its response. */
  writeRefused(client: Peer, status: number, sentBytes: number): void {
    this.#gather(
      `${peerOf(client)} - - [${logDate()}] "-" ${status} ${sentBytes} "-" "-" 0.000 - 0${this.endsWithRequestId ? ' -' : ''}\n`,
    )
  }

  /**
   * Opens the path again, after a rotation. The master has made the file for the proxy; if it cannot be opened, the old
   * one stays.
   */
  reopen(): void {
    this.#handOver()
    this.#sink.reopen()
  }

  /**
   * Writes the gathered lines; for the end of the process, which waits neither for a full disk nor for a stuck reader.
   */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#handOver()
    await this.#sink.close()
  }

  /**
   * On standard output without `<`: journald also breaks a line where another process has written in between, and reads
   * `<0>` behind a break as a priority. A client could write an emergency on every terminal of the host.
   */
  #quotable(text: string): string {
    if (!this.#isStandardOutput) return quotable(text)
    const quoted = quotable(text).replaceAll('<', '\\x3C')
    return quoted.length <= LONGEST_FIELD_CHARACTERS ? quoted : `${quoted.slice(0, LONGEST_FIELD_CHARACTERS)}...`
  }

  #gather(line: string): void {
    if (line.length > GATHERED_BYTES - this.#used) this.#handOver()
    if (line.length > GATHERED_BYTES) this.#sink.write(Buffer.from(line, 'latin1'))
    else this.#used += this.#gathered.latin1Write(line, this.#used)
  }

  /** The sink keeps the bytes that it is given. */
  #handOver(): void {
    if (this.#used === 0) return
    this.#sink.write(this.#gathered.subarray(0, this.#used))
    this.#gathered = Buffer.allocUnsafeSlow(GATHERED_BYTES)
    this.#used = 0
  }
}

/** As nginx writes it: a client of a unix socket has no address. */
function peerOf({ address, overUnix }: Peer): string {
  return overUnix === true ? 'unix:' : address
}

const SHORT_TIMES = Array.from({ length: 1000 }, (_, ms) => (ms / 1000).toFixed(3))

/** Seconds with three decimals. */
function printSeconds(durationMs: number): string {
  const rounded = Math.round(durationMs)
  return SHORT_TIMES[rounded] ?? (rounded / 1000).toFixed(3)
}

/** Quotes, backslashes and characters outside printable ASCII as `\xNN`, as nginx does: a line cannot be forged. */
function quotable(text: string): string {
  if (text === '' || !/["\\\x00-\x1f\x7f-\xff]/.test(text)) return text
  return text.replace(
    /["\\\x00-\x1f\x7f-\xff]/g,
    one => `\\x${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
let second = -1
let dateText = ''

/** As nginx's `$time_local`, in UTC: `21/Nov/2026:10:00:00 +0000`. Made once a second. */
function logDate(): string {
  const nowMs = Date.now()
  if (Math.floor(nowMs / 1000) === second) return dateText
  second = Math.floor(nowMs / 1000)
  const date = new Date(nowMs)
  const [day, month, year] = [date.getUTCDate(), MONTHS[date.getUTCMonth()], date.getUTCFullYear()]
  dateText = `${String(day).padStart(2, '0')}/${month}/${year}:${date.toISOString().slice(11, 19)} +0000`
  return dateText
}
