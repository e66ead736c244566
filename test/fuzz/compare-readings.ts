/**
 * Puts a series of inputs before our parser and before Node's and looks for the first on which they disagree. Used by
 * `test/proxy/http/request-head-against-node.ts` with a small series and by `test/fuzz/request-parser.ts` with a large one.
 */

import { isDeepStrictEqual } from 'node:util'
import { HeadReader } from '../../proxy/client/head-reader.js'
import { MOST_HEAD, parseRequestHead } from '../../proxy/http/request-head.js'
import { disagreement } from './disagreement.js'
import { mutatedRequest, NEXT_REQUEST } from './mutated-request.js'
import { NodeReader } from './node-reader.js'
import { type OurRequest, readAsProxy } from './request-reading.js'

/**
 * `complete`: inputs whose first request both took whole; `chunked`: those in which we took a chunked one whole; `splits`: readings in pieces;
 * `refusedByNode`: those of which Node took none.
 */
export interface Comparison {
  inputs: number
  complete: number
  chunked: number
  splits: number
  refusedByUs: number
  refusedByNode: number
  /** The first one found, with the command line part that gives it again. */
  disagreement: string | null
}

/** Inputs that are under way at a time. */
const BATCH = 50

/** Compares inputs `from` to `from + count - 1` of the series `seed`. */
export async function compareReadings(seed: number, from: number, count: number): Promise<Comparison> {
  const reader = new NodeReader()
  const result: Comparison = {
    inputs: 0,
    complete: 0,
    chunked: 0,
    splits: 0,
    refusedByUs: 0,
    refusedByNode: 0,
    disagreement: null,
  }
  for (let first = from; first < from + count && result.disagreement === null; first += BATCH) {
    const indexes = Array.from({ length: Math.min(BATCH, from + count - first) }, (_, offset) => first + offset)
    await Promise.all(indexes.map(index => compareOne(reader, seed, index, result)))
  }
  return result
}

/** Of one connection whose requests are all the inputs. */
const memory = new HeadReader()

/** A head means the same, whatever came before it. */
function memoryDifference(input: string): string | null {
  const end = input.indexOf('\r\n\r\n')
  if (end < 0) return null
  const alone = parseRequestHead(input.slice(0, end))
  return isDeepStrictEqual(memory.parse(input, end, MOST_HEAD), alone)
    ? null
    : 'read otherwise behind the input before it'
}

async function compareOne(reader: NodeReader, seed: number, index: number, result: Comparison): Promise<void> {
  const input = mutatedRequest(seed, index)
  const ours = readAsProxy(input)
  const node = await reader.read(input)
  const found = disagreement(ours, node) ?? splitDifference(input, ours, index, result) ?? memoryDifference(input)
  if (found !== null) result.disagreement ??= `--seed ${seed} --from ${index}: ${found}\n${JSON.stringify(input)}`
  result.inputs++
  // An input whose first lines were cut off may begin with the request that stands behind it.
  if (ours[0]?.complete && input !== NEXT_REQUEST) result.complete++
  if (ours.some(({ head, complete }) => complete && head.chunked)) result.chunked++
  if (ours.length === 0) result.refusedByUs++
  if (node.requests.length === 0) result.refusedByNode++
}

/** Each input is cut at two places; of every so many, one at each boundary by turns, and one into single bytes. */
const EVERY_BOUNDARY = 100

/** Whether we understand `input` otherwise when it comes in pieces. */
function splitDifference(input: string, ours: OurRequest[], index: number, result: Comparison): string | null {
  const expected = JSON.stringify(ours)
  const boundaries = Array.from({ length: input.length - 1 }, (_, at) => at + 1)
  const second = (index * 7) % input.length
  const splits =
    index % EVERY_BOUNDARY === 0
      ? [...boundaries.map(at => [at]), boundaries]
      : [[index % input.length, second].sort((a, b) => a - b)]
  result.splits += splits.length
  const differs = splits.find(cuts => JSON.stringify(readAsProxy(input, cuts)) !== expected)
  return differs === undefined
    ? null
    : `cut at ${differs.length > 2 ? 'each byte' : differs}: read as ${JSON.stringify(readAsProxy(input, differs))}`
}
