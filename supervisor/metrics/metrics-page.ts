/**
 * The page of `/metrics`: the families of the master, then of the proxies, then of the applications, and last the
 * number of series that were left out. Pure.
 *
 * Its size is bounded. If it is full, families of the applications are left out: their workers decide how large they
 * are.
 */

import { isReservedName, type MetricFamily } from '../../kit/channel/metric-family.js'
import { ExpositionPage } from './exposition.js'
import { readTable } from './family-table.js'
import { mergeGroup, planMerge } from './merge-families.js'
import type { MetricsStore } from './metrics-store.js'
import type { Slices } from './slices.js'

/**
 * Room for the series of many well-behaved processes, beside the most that one bad process can send and leave behind
 * when it dies again and again (see `StoreLimits`).
 */
export const PAGE_BYTES = 16 * 1024 * 1024

/** Prints the state of the moment when it begins; later changes do not show. */
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
