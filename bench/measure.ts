/**
 * Measures one case over all stacks that can answer it: a warm-up each, then rounds in which the stacks take turns.
 * `main.ts` calls it. Before each run, one request must get the response that the case expects, so that no error page
 * is measured.
 */

import { join } from 'node:path'
import { Failure } from '../kit/ground/failure.js'
import { ask } from './ask.js'
import type { Case } from './cases.js'
import { cpuMicroseconds } from './cpu.js'
import { gcShare, readGcTotals } from './gc.js'
import type { RunningStack } from './stacks/stack.js'
import { type Figures, rotate, type Sample, summarize } from './statistics.js'
import { countErrors, runWrk, type WrkResult } from './wrk.js'

/** What all runs share. `folder`: where the scripts for wrk were written. */
export interface Conditions {
  wrk: string
  folder: string
  seconds: number
  rounds: number
  signal: AbortSignal
}

/** `gc`: share of garbage collection in the CPU time of the proxies, 0 to 1; null for stacks without a count of it. */
export interface StackResult {
  name: string
  figures: Figures
  samples: Sample[]
  gc: number | null
}

export interface CaseResult {
  name: string
  title: string
  path: string
  connections: number
  stacks: StackResult[]
}

/**
 * Enough requests for V8 to compile the hot code in every process, however few connections are measured: after a few
 * thousand requests a worker is still several times slower than it will be. Also opens every keep-alive connection
 * once.
 */
const WARM_UP = { seconds: 2, connections: 64 }

/** Hundreds of collections of the young generation under load. */
const GC_RUN_SECONDS = 2

/** The file in the folder that makes wrk send the case's POST, null for a plain GET. */
export function wrkScript(row: Case): { name: string; text: string } | null {
  if (row.postBytes === undefined) return null
  const text = `wrk.method = 'POST'\nwrk.body = string.rep('x', ${row.postBytes})\nwrk.headers['Content-Type'] = 'text/plain'\n`
  return { name: `${row.name}.lua`, text }
}

/** Whether the stack can answer the case, and runs at this number of connections. */
export function takesPart(
  { kinds, isPeer }: Pick<RunningStack, 'kinds' | 'isPeer'>,
  { kind, peersAt }: Case,
  connections: number,
): boolean {
  return kinds.includes(kind) && (!isPeer || peersAt.includes(connections))
}

/**
 * Runs the case at one number of connections on every stack that can answer it; rejects only when aborted or broken
 * itself.
 */
export async function measureCase(
  row: Case,
  connections: number,
  stacks: readonly RunningStack[],
  conditions: Conditions,
): Promise<CaseResult> {
  const able = stacks
    .filter(stack => takesPart(stack, row, connections))
    .map(stack => ({ stack, samples: [] as Sample[] }))
  for (const { stack } of able) {
    const { seconds } = WARM_UP
    await takeSample(row, Math.max(connections, WARM_UP.connections), stack, { ...conditions, seconds })
  }
  for (let round = 0; round < conditions.rounds; round++) {
    for (const { stack, samples } of rotate(able, round))
      samples.push(await takeSample(row, connections, stack, conditions))
  }
  const shares = new Map<RunningStack, number | null>()
  for (const { stack } of able) shares.set(stack, await takeGcShare(row, connections, stack.counting, conditions))
  return {
    name: row.name,
    title: row.title,
    path: row.path,
    connections,
    stacks: able.map(({ stack, samples }) => {
      return { name: stack.name, figures: summarize(samples), samples, gc: shares.get(stack) ?? null }
    }),
  }
}

/**
 * The sample of one run of wrk, given the CPU time that the stack used in it; invalid with any error, or with no
 * answer at all.
 */
export function sampleOf(
  { requests, requestsPerSecond, p50Ms, p99Ms, errors }: WrkResult,
  usedMicroseconds: number,
): Sample {
  const counts = Object.entries(errors).filter(([, count]) => count > 0)
  const faults = counts.map(([name, count]) => `${name}=${count}`).join(' ')
  const invalid = faults !== '' ? `errors: ${faults}` : requests === 0 ? 'no request was answered' : null
  const cpuMicrosecondsPerRequest = requests === 0 ? 0 : usedMicroseconds / requests
  return { requestsPerSecond, p50Ms, p99Ms, cpuMicrosecondsPerRequest, errors: countErrors(errors), invalid }
}

/** One short run on the twin that counts, after its warm-up; null without a twin, or if its run is not valid or cannot be read. */
async function takeGcShare(
  row: Case,
  connections: number,
  counting: RunningStack | undefined,
  conditions: Conditions,
): Promise<number | null> {
  if (counting === undefined) return null
  const warmUp = Math.max(connections, WARM_UP.connections)
  await takeSample(row, warmUp, counting, { ...conditions, seconds: WARM_UP.seconds })
  try {
    const before = await readGcTotals(counting.folder, conditions.signal)
    const { invalid } = await takeSample(row, connections, counting, { ...conditions, seconds: GC_RUN_SECONDS })
    const after = await readGcTotals(counting.folder, conditions.signal)
    return invalid === null ? gcShare(before, after) : null
  } catch (error) {
    conditions.signal.throwIfAborted()
    if (!(error instanceof Error)) throw error
    return null
  }
}

/** A stack that fails under load is a result, not the end of the bench: the reason is kept in the sample. */
async function takeSample(
  row: Case,
  connections: number,
  stack: RunningStack,
  conditions: Conditions,
): Promise<Sample> {
  const { wrk, folder, seconds, signal } = conditions
  try {
    const headers = await verify(row, stack.url, signal)
    const script = wrkScript(row)
    const options = {
      program: wrk,
      url: stack.url + row.path,
      connections,
      seconds,
      headers,
      script: script && join(folder, script.name),
    }
    const before = cpuMicroseconds(stack.pids)
    const result = await runWrk(options, signal)
    return sampleOf(result, cpuMicroseconds(stack.pids) - before)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof Error)) throw error
    return { requestsPerSecond: 0, p50Ms: 0, p99Ms: 0, cpuMicrosecondsPerRequest: 0, errors: 0, invalid: error.message }
  }
}

/** Asks once as wrk will ask, and gives the headers to ask with; a Failure when the answer is not the expected one. */
async function verify(row: Case, origin: string, signal: AbortSignal): Promise<Record<string, string>> {
  const url = origin + row.path
  const headers: Record<string, string> = {}
  if (row.conditional) {
    const { etag } = (await ask({ url }, signal)).headers
    if (etag === undefined)
      throw new Failure('BENCH_ANSWER', `checking the answer failed: ${url}: it has no ETag to ask with`)
    headers['If-None-Match'] = etag
  }
  const post = row.postBytes === undefined ? {} : { method: 'POST', body: 'x'.repeat(row.postBytes) }
  const { status, bodyBytes } = await ask({ url, headers, ...post }, signal)
  const { expected } = row
  if (status !== expected.status || (expected.bodyBytes !== null && bodyBytes !== expected.bodyBytes)) {
    const wanted = `${expected.status}${expected.bodyBytes === null ? '' : ` with ${expected.bodyBytes} bytes`}`
    throw new Failure(
      'BENCH_ANSWER',
      `checking the answer failed: ${url}: status ${status} with ${bodyBytes} bytes: expected ${wanted}`,
    )
  }
  return headers
}
