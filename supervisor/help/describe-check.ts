/**
 * The text of `daimyo check FILE`: the mistakes; or, without any, the values in effect and their places; the remarks in
 * any case. The start and the reload print their findings in the same way. Pure. Secrets never arrive here: they are
 * hidden where the values are read.
 */

import type { EffectiveValue, Finding, Reading } from '../config/values/settings.js'

/**
 * One block of lines, with a newline at its end. `title` is the configuration's name, such as `conf/farm.ini`; `all`:
 * defaults too.
 */
export function describeCheck(reading: Reading, title: string, all: boolean): string {
  const lines = describeFindings(reading.remarks, 'remark: ')
  if (reading.mistakes.length > 0) {
    const count = reading.mistakes.length
    lines.unshift(...describeFindings(reading.mistakes), `${title}: ${count} ${count === 1 ? 'mistake' : 'mistakes'}`)
  } else lines.unshift(`${title}: OK`, ...describeValues(reading.values ?? [], all))
  return `${lines.join('\n')}\n`
}

/** `file:line: what: …`, one line each: editors and terminals jump to such places. */
export function describeFindings(findings: readonly Finding[], prefix = ''): string[] {
  return findings.map(({ place, message }) => `${place}: ${prefix}${message}`)
}

function describeValues(values: readonly EffectiveValue[], all: boolean): string[] {
  const shown = all ? values : values.filter(({ place }) => place !== 'default')
  const left = values.length - shown.length
  const rest = left === 0 ? [] : [`  and ${left} ${left === 1 ? 'default' : 'defaults'}: daimyo check --all shows them`]
  return [...alignPlaces(shown), ...rest]
}

function alignPlaces(values: readonly EffectiveValue[]): string[] {
  const lines = values.map(value => [`  ${value.name} = ${value.text}`, value.place] as const)
  const width = Math.min(60, Math.max(0, ...lines.map(([text]) => text.length)))
  return lines.map(([text, place]) => `${text.padEnd(width)}  ; ${place}`)
}
