/**
 * uWSGI's configuration logic: `if-env … else … endif`, `for … endfor` and their kin. A block holds for each line by
 * itself, as in uWSGI: the line is taken once for each value of the block, with `%(_)` replaced by that value. Pure but
 * for the files that a condition asks about.
 */

import { resolve } from 'node:path'
import type { ConfigFiles } from './config-files.js'

/** The facts that conditions ask about. */
export interface BlockFacts {
  cwd: string
  hostname: string
  environment: Record<string, string | undefined>
  files: ConfigFiles
  /** First value that was given to a key so far, expanded. */
  firstValue(key: string): string | undefined
}

/** The lines of a block are taken once for each of `values`; none: they are skipped. */
export interface Block {
  opener: string
  place: string
  values: string[]
  isSecret: boolean
}

export type OpenedBlock = { ok: true; values: string[] } | { ok: false; why: string }

/** Lines that end a block; all of them end any block, as in uWSGI. */
export const BLOCK_ENDS: ReadonlySet<string> = new Set(['endif', 'endfor', 'end', 'end-if', 'end-for'])

const LOOP_TIMES = 1000

/** Gives the value of `%(_)`, or null when the condition does not hold. */
type Condition = (argument: string, facts: BlockFacts) => string | null
type Loop = (argument: string, facts: BlockFacts) => OpenedBlock

const CONDITIONS: Record<string, Condition> = {
  env: (argument, { environment }) => matchPair(argument, name => environment[name]),
  opt: (argument, { firstValue }) => matchPair(argument, firstValue),
  file: (argument, facts) => (kindOf(argument, facts) === 'file' ? argument : null),
  dir: (argument, facts) => (kindOf(argument, facts) === 'folder' ? argument : null),
  exists: (argument, facts) => (/^(missing|unreadable)$/.test(kindOf(argument, facts)) ? null : argument),
  hostname: (argument, { hostname }) => (argument === hostname ? argument : null),
}

const LOOPS: Record<string, Loop> = {
  for: argument => ({ ok: true, values: argument.split(' ').filter(word => word !== '') }),
  'for-times': argument => countTo(argument),
  'for-readline': (argument, { cwd, files }) => {
    const read = files.read(resolve(cwd, argument))
    if (!read.ok) return { ok: false, why: `cannot read ${argument}: ${read.why}` }
    const lines = read.text.split('\n').map(line => line.replace(/\r$/, ''))
    return { ok: true, values: lines.filter(line => line !== '').slice(0, LOOP_TIMES) }
  },
}

const UNKNOWABLE: Record<string, string> = {
  'if-reload': 'an INI reads the same at the start and at a reload',
  'if-not-reload': 'an INI reads the same at the start and at a reload',
  'if-plugin': 'there are no plugins',
  'if-not-plugin': 'there are no plugins',
  'if-hostname-match': 'use `if-hostname`',
  'if-not-hostname-match': 'use `if-hostname`',
  'for-glob': 'use `for` with the names',
}

/** All lines that open a block, for the reference. */
export const BLOCK_OPENERS: readonly string[] = [
  ...Object.keys(CONDITIONS).flatMap(name => [`if-${name}`, `if-not-${name}`]),
  ...Object.keys(LOOPS),
]

/** Whether the key opens a block, one that is not supported included. */
export function opensBlock(key: string): boolean {
  return BLOCK_OPENERS.includes(key) || Object.hasOwn(UNKNOWABLE, key)
}

/** Decides a block at its first line. */
export function openBlock(key: string, argument: string, facts: BlockFacts): OpenedBlock {
  const unknowable = Object.hasOwn(UNKNOWABLE, key) ? UNKNOWABLE[key] : undefined
  if (unknowable !== undefined) return { ok: false, why: `not supported: ${unknowable}` }
  const loop = Object.hasOwn(LOOPS, key) ? LOOPS[key] : undefined
  if (loop !== undefined) return loop(argument, facts)
  const [, not, name = ''] = /^if-(not-)?(.*)$/.exec(key) ?? []
  const value = CONDITIONS[name]?.(argument, facts) ?? null
  if (not === undefined) return { ok: true, values: value === null ? [] : [value] }
  return { ok: true, values: value === null ? [argument] : [] }
}

/** `NAME`, or `NAME=value` that must be equal. */
function matchPair(argument: string, firstValue: (name: string) => string | undefined): string | null {
  const at = argument.indexOf('=')
  const value = firstValue(at === -1 ? argument : argument.slice(0, at))
  if (value === undefined) return null
  return at === -1 || argument.slice(at + 1) === value ? value : null
}

function kindOf(argument: string, { cwd, files }: BlockFacts): string {
  return files.kindOf(resolve(cwd, argument))
}

function countTo(argument: string): OpenedBlock {
  const times = /^\d{1,4}$/.test(argument) ? Number(argument) : Number.NaN
  if (!(times <= LOOP_TIMES)) {
    return { ok: false, why: `received ${argument || 'nothing'}: accepted a number up to ${LOOP_TIMES}` }
  }
  return { ok: true, values: Array.from({ length: times }, (_, index) => String(index + 1)) }
}
