/**
 * The limits of a worker's life from the options that say them. Called by `read-settings.ts`. Pure.
 */

import type { OptionValues } from './option-values.js'
import type { RecycleLimits } from './values/settings.js'

/** As `recycling.ts` uses them. */
export function toRecycleLimits(values: OptionValues): RecycleLimits {
  return {
    maxRequestsDelta: values['max-requests-delta'],
    maxLifetimeMs: values['max-worker-lifetime'],
    maxLifetimeDeltaMs: values['max-worker-lifetime-delta'],
    minLifetimeMs: values['min-worker-lifetime'],
    reloadOnRssBytes: values['reload-on-rss'],
    evilReloadOnRssBytes: values['evil-reload-on-rss'],
  }
}
