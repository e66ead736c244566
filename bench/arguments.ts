/**
 * The command line of the bench: one table, from which it is parsed and its help printed. Pure; `main.ts` calls it.
 */

import { type ParseArgsConfig, parseArgs } from 'node:util'
import { EXIT, Failure, reasonOf } from '../kit/ground/failure.js'
import { CASES } from './cases.js'

export interface BenchArguments {
  seconds: number
  rounds: number
  only: string[]
  /** Empty: each case has its own numbers of connections. */
  connections: number[]
  all: boolean
  /** Entry file of the application behind the proxies, null: the sample application. */
  app: string | null
  json: string | null
  write: boolean
  help: boolean
}

/** The name, the name of its value (null: a switch), and the effect. */
const TABLE: [name: string, value: string | null, summary: string][] = [
  ['seconds', 'N', 'length of one run in seconds, 1 to 600 (default 4)'],
  ['rounds', 'N', 'rounds, of which the median counts, 1 to 99 (default 3)'],
  ['only', 'CASE,…', `measure only these: ${CASES.map(({ name }) => name).join(', ')}`],
  ['connections', 'N,…', 'numbers of connections instead of those of each case, 1 to 10000'],
  ['all', null, `also measure ${CASES.flatMap(({ name, extra }) => (extra ? name : [])).join(', ')}`],
  ['app', 'FILE', 'application behind the proxies (default app/farm/farm.js, whose paths it must answer)'],
  ['json', 'FILE', 'write all samples and figures to FILE'],
  ['write', null, 'write docs/benchmarks.md; only from a run of all default cases'],
  ['help', null, 'print this'],
]

/** The arguments after the program's name; a Failure with exit code 64 when they make no sense. */
export function parseArguments(argv: readonly string[]): BenchArguments {
  const values = parseFlags(argv)
  const text = (name: string): string | null => (typeof values[name] === 'string' ? values[name] : null)
  const parsed = {
    seconds: parseNumber('seconds', text('seconds') ?? '4', 600),
    rounds: parseNumber('rounds', text('rounds') ?? '3', 99),
    only: text('only')?.split(',') ?? [],
    connections:
      text('connections')
        ?.split(',')
        .map(item => parseNumber('connections', item, 10_000)) ?? [],
    all: values.all === true,
    app: text('app'),
    json: text('json'),
    write: values.write === true,
    help: values.help === true,
  }
  const partial = parsed.only.length > 0 || parsed.connections.length > 0 || parsed.app !== null
  if (parsed.write && partial)
    refuse('--write: not together with --only, --connections or --app: the document would be incomplete')
  return parsed
}

/** What `--help` prints. */
export function helpText(): string {
  const flags = TABLE.map(([name, value, summary]) => ({
    flag: value === null ? `--${name}` : `--${name} ${value}`,
    summary,
  }))
  const width = Math.max(...flags.map(({ flag }) => flag.length))
  return `npm run bench -- [options]: compares daimyo with what it replaces, side by side: nginx,
HAProxy, Caddy, http-proxy, node:cluster. One that is not installed is left out, with a line that names its package.

${flags.map(({ flag, summary }) => `  ${flag.padEnd(width)}  ${summary}`).join('\n')}

HAProxy, Caddy and node:cluster run at 8 or 64 connections only, or at those of --connections: a default run takes
about a fifth longer with them. The column GC comes from a short run of its own, on a second daimyo for each number of
proxies: about an eighth longer.
`
}

function parseFlags(argv: readonly string[]): Record<string, unknown> {
  const options: NonNullable<ParseArgsConfig['options']> = {}
  for (const [name, value] of TABLE) options[name] = { type: value === null ? 'boolean' : 'string' }
  try {
    return parseArgs({ args: [...argv], options, strict: true }).values
  } catch (error) {
    return refuse(reasonOf(error))
  }
}

function parseNumber(name: string, text: string, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > most)
    refuse(`--${name}: received ${JSON.stringify(text)}: accepted 1 to ${most}`)
  return value
}

function refuse(why: string): never {
  throw new Failure('BENCH_USAGE', `reading the command line failed: ${why}`, EXIT.usage)
}
