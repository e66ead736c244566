/** The sizes of the young generations of daimyo's own heaps. For workers the application decides (`node-args`). */

import { setFlagsFromString } from 'node:v8'

/**
 * The initial size in a proxy: two halves of 8 MB, which fill with the garbage of about 2,000 requests. V8 begins with
 * 1 MB and doubles it only when much survives. Almost nothing of a request survives, so with few clients a busy proxy
 * would stay at half of this size and collect twice as often.
 */
export const PROXY_YOUNG_GENERATION: readonly string[] = ['--min-semi-space-size=8']

/**
 * Keeps the young generation of the master's heap at its initial size. Otherwise V8 lets it grow to 32 MB under
 * garbage, and each message of a child makes some. The master lives for months and must stay small. The flag applies to
 * the whole process.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
