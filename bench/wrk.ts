/**
 * Runs `wrk`, the load generator, and reads what it prints. `measure.ts` calls it. wrk is a closed loop: each
 * connection sends its next request after the response to the last one. So its percentiles are for a fixed number of
 * connections, not for a fixed arrival rate.
 */

import { execFile } from 'node:child_process'
import { Failure } from '../kit/ground/failure.js'

/** What wrk counted as failed: socket errors by kind, and answers with a status of 400 and above. */
export interface WrkErrors {
  connect: number
  read: number
  write: number
  timeout: number
  status: number
}

export interface WrkResult {
  requests: number
  requestsPerSecond: number
  p50Ms: number
  p99Ms: number
  errors: WrkErrors
}

export interface WrkOptions {
  /** Path of the wrk program. */
  program: string
  url: string
  connections: number
  seconds: number
  headers: Record<string, string>
  /** A lua file that sets method and body, null for a plain GET. */
  script: string | null
}

/** wrk ends by itself after `-d`. If it takes this much longer, it hangs and is killed. */
const GRACE_MS = 15_000

/** One run of wrk; rejects with a Failure when wrk cannot run, or with the abort reason of `signal`. */
export async function runWrk(options: WrkOptions, signal: AbortSignal): Promise<WrkResult> {
  const text = await new Promise<string>((resolve, reject) => {
    const limits = { signal, timeout: options.seconds * 1000 + GRACE_MS, killSignal: 'SIGKILL' as const }
    execFile(options.program, wrkArguments(options), limits, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason)
      else if (error) reject(new Failure('BENCH_WRK', `wrk failed: ${options.url}: ${stderr.trim() || error.message}`))
      else resolve(stdout)
    })
  })
  return parseWrk(text)
}

/** The command line of one run: one thread, so that on two cores the stack keeps most of the machine. */
export function wrkArguments({ connections, seconds, headers, script, url }: WrkOptions): string[] {
  const args = ['--latency', '-t', '1', '-c', String(connections), '-d', `${seconds}s`]
  for (const [name, value] of Object.entries(headers)) args.push('-H', `${name}: ${value}`)
  if (script !== null) args.push('-s', script)
  return [...args, url]
}

/** The figures in wrk's report (wrk 4.1, `--latency`); a Failure that shows the text when one is missing. */
export function parseWrk(text: string): WrkResult {
  const field = (what: string, pattern: RegExp): string => {
    const value = pattern.exec(text)?.[1]
    if (value === undefined)
      throw new Failure('BENCH_WRK_OUTPUT', `reading wrk's report failed: ${what}: not in ${JSON.stringify(text)}`)
    return value
  }
  return {
    requests: Number(field('requests', /^\s*(\d+) requests in /m)),
    requestsPerSecond: Number(field('requests per second', /^Requests\/sec:\s+([\d.]+)$/m)),
    p50Ms: milliseconds(field('50th percentile', /^\s+50%\s+(\S+)\s*$/m)),
    p99Ms: milliseconds(field('99th percentile', /^\s+99%\s+(\S+)\s*$/m)),
    errors: parseErrors(text),
  }
}

/** How many requests or connections failed in all. */
export function countErrors({ connect, read, write, timeout, status }: WrkErrors): number {
  return connect + read + write + timeout + status
}

/** wrk prints the two lines on errors only when there were any. */
function parseErrors(text: string): WrkErrors {
  const socket = /^\s+Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$/m.exec(text)
  const status = /^\s+Non-2xx or 3xx responses: (\d+)$/m.exec(text)
  const count = (index: number): number => Number(socket?.[index] ?? 0)
  return { connect: count(1), read: count(2), write: count(3), timeout: count(4), status: Number(status?.[1] ?? 0) }
}

const UNIT_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A time as wrk prints it (`845.00us`, `1.20ms`, `2.00s`) in milliseconds. */
function milliseconds(text: string): number {
  const [, value, unit = ''] = /^([\d.]+)([a-z]+)$/.exec(text) ?? []
  const factor = UNIT_MS[unit]
  if (value === undefined || factor === undefined) {
    throw new Failure(
      'BENCH_WRK_OUTPUT',
      `reading wrk's report failed: time ${JSON.stringify(text)}: accepted us, ms, s, m, h`,
    )
  }
  return Number(value) * factor
}
