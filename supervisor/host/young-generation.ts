/**
 * How large the young generations of daimyo's own heaps are. Those of workers are the application's business
 * (`node-args`).
 */

import { setFlagsFromString } from 'node:v8'

/**
 * The size that a proxy begins with: two halves of 8 MB, which fill with the garbage of some 2,000 requests. V8 begins
 * with 1 MB and doubles it only when much survives. Almost nothing of a request does, so with few clients a busy proxy
 * would stay at half of this size and collect twice as often.
 */
export const PROXY_YOUNG_GENERATION: readonly string[] = ['--min-semi-space-size=8']

/**
 * Keeps the young generation of the master's heap at the size that it begins with. V8 lets it grow to 32 MB under
 * garbage, and the master makes some with each message of a child; it lives for months and is to stay small. The flag
 * holds for a whole process.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
