/**
 * The text on the terminal after a start, in the foreground or in the background: what runs, where, and how to reload
 * and stop it. Pure.
 */

import { relative } from 'node:path'
import type { StatusReport } from '../control/control-protocol.js'
import { readiness } from '../control/readiness.js'

/**
 * `log`: the file of the log; null: the log goes to the terminal. `program` and `cwd`: the name of the program and the
 * working directory of the user who will type the commands.
 */
export interface BannerFacts {
  program: string
  cwd: string
  report: StatusReport
  log: string | null
  mode: 'foreground' | 'background'
}

/** About ten lines, with a newline at the end. */
export function printBanner({ report, log, mode, program, cwd }: BannerFacts): string {
  const config = report.iniPath === null ? null : shortPath(report.iniPath, cwd)
  const command = (name: string) => `${program} ${name}${config === null ? '' : ` ${quote(config)}`}`
  const kill = (signal: string) => `kill -${signal} ${report.pid}`
  const rows: [string, string][] = [
    ['serving', report.urls.join('  ')],
    ['metrics', report.metricsUrl ?? 'none'],
    ['workers', describeWorkers(report)],
    ['config', config ?? 'command line'],
    ['log', log === null ? 'here' : shortPath(log, cwd)],
    ['status', command('status')],
    ['reload', `${command('reload')}   or  ${kill('HUP')}`],
    ['stop', `${command('stop')}   or  ${mode === 'foreground' ? 'Ctrl-C' : kill('TERM')}`],
  ]
  const lines = rows.map(([title, text]) => `  ${title.padEnd(8)} ${text}`)
  return `daimyo ${report.version} runs with pid ${report.pid}\n${lines.join('\n')}\n`
}

/** The banner comes when the first worker is ready; the others may still start. */
function describeWorkers({ proxies, wanted, workers }: StatusReport): string {
  const served = `behind ${proxies.length} ${proxies.length === 1 ? 'proxy' : 'proxies'}`
  if (wanted === 0) return `none (static files only), ${served}`
  const { ready, waiting } = readiness(workers)
  const later = waiting > 0 ? `, ${waiting} load at their first request` : ''
  const isWhole = ready + waiting >= wanted
  return `${wanted}${isWhole && waiting === 0 ? '' : ` (${ready} ready${isWhole ? '' : ' so far'}${later})`}, ${served}`
}

/** The path as a user in `cwd` would write it. */
function shortPath(path: string, cwd: string): string {
  const near = relative(cwd, path)
  return cwd === '/' || near.startsWith('..') || near === '' ? path : near
}

/** The path as a shell reads it. */
function quote(path: string): string {
  return /^[\w./:@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
