/**
 * The page that `/metrics` answers with: what the master knows itself, then what the proxies count, then what the
 * applications do, and last what was left out. Pure.
 *
 * Its size is bounded. The applications' families are what it may lack: their workers decide how large they are.
 */

import { isReservedName, type MetricFamily } from '../../kit/channel/metric-family.js'
import { ExpositionPage } from './exposition.js'
import { readTable } from './family-table.js'
import { mergeGroup, planMerge } from './merge-families.js'
import type { MetricsStore } from './metrics-store.js'
import type { Slices } from './slices.js'

/**
 * Room for the series of many honest processes beside all that one process may ship and leave behind when it dies again
 * and again (see `StoreLimits`).
 */
export const PAGE_BYTES = 16 * 1024 * 1024

/** Prints it as it is at this moment, however long the printing takes. */
export function* renderPage(
  own: readonly MetricFamily[],
  store: Pick<MetricsStore, 'snapshot' | 'about'>,
  pageBytes = PAGE_BYTES,
): Slices<Buffer> {
  const { live, gone } = store.snapshot()
  const page = new ExpositionPage(pageBytes)
  for (const family of own) addOwn(page, family)
  const { groups, conflicts } = yield* planMerge(live, gone)
  const isOurs = groups.map(({ first }) => isReservedName(first.name))
  const ordered = [...groups.filter((_, at) => isOurs[at]), ...groups.filter((_, at) => !isOurs[at])]
  for (const group of ordered) yield* page.add(yield* mergeGroup(group))
  for (const family of store.about(conflicts, page.leftOut)) addOwn(page, family)
  return page.finish()
}

function addOwn(page: ExpositionPage, family: MetricFamily): void {
  const reading = readTable(family)
  if ('table' in reading) page.addWhole(reading.table)
}
