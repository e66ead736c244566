/** Checks the options about the number of workers against each other. Pure. */

import type { OptionName } from '../../kit/options/options.js'
import type { OptionValues } from '../../kit/options/settings.js'

/** Contradictions. */
export function checkScaling(
  values: OptionValues,
  refuse: (name: OptionName, index: number, why: string) => void,
): void {
  const { cheaper, processes, idle } = values
  const initial = values['cheaper-initial']
  if (cheaper > processes)
    refuse('cheaper', 0, `received ${cheaper}: accepted at most \`processes\`, which is ${processes}`)
  else if (initial !== null && cheaper > 0 && (initial < cheaper || initial > processes)) {
    refuse(
      'cheaper-initial',
      0,
      `received ${initial}: accepted a number from \`cheaper\` (${cheaper}) to \`processes\` (${processes})`,
    )
  }
  const { 'cheaper-busyness-min': min, 'cheaper-busyness-max': max } = values
  if (min >= max)
    refuse('cheaper-busyness-min', 0, `received ${min}: accepted less than \`cheaper-busyness-max\`, which is ${max}`)
  const { 'cheaper-rss-limit-soft': soft, 'cheaper-rss-limit-hard': hard } = values
  if (hard > 0 && soft > hard)
    refuse('cheaper-rss-limit-soft', 0, 'received more than `cheaper-rss-limit-hard`: accepted at most as much')
  if (values['die-on-idle'] && idle === 0)
    refuse('die-on-idle', 0, 'received no `idle`: accepted with `idle = SECONDS` only')
}

/** Options that have no effect. */
export function remarkScaling(
  { values, given }: { values: OptionValues; given: ReadonlySet<OptionName> },
  remark: (name: OptionName, index: number, why: string) => void,
): void {
  if (values.cheaper > 0) return
  for (const name of given) if (name.startsWith('cheaper-')) remark(name, 0, 'counts for nothing without `cheaper`')
}
