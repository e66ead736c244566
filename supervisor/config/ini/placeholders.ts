/**
 * `%(key)`, `$(ENVIRONMENT_VARIABLE)` and `@(file)` in values. Pure but for the files that `@(…)` names.
 *
 * Like uWSGI: `%(key)` is the first value that the key was given, whether it is an option or not, and a placeholder may
 * be computed: `%(a b + 2)` joins a and b and adds 2. Unlike uWSGI: what is not known is a mistake instead of staying
 * as it is, references to later keys always resolve, and the text of a variable or a file is data: nothing in it is
 * replaced again.
 */

import { looksSecret } from '../../../kit/options/words/secret-names.js'
import type { FileText } from './config-files.js'

export interface ExpandContext {
  /** First value of a key, not yet expanded. */
  firstValue(key: string): string | undefined
  environment: Record<string, string | undefined>
  read(path: string): FileText
}

/** `isSecret`: a name on the way announces a secret, so the text must not be shown. */
export interface Expanded {
  text: string
  problems: string[]
  isSecret: boolean
}

/** Bounds against a text that grows by being replaced ("billion laughs"). */
const TEXT_CHARS = 65_536
const REPLACEMENTS = 1000
const DEPTH = 32

/** Marks a text that `%(_)` put into a line as data. NUL cannot occur in a line, and `expand` takes it away again. */
export function shield(data: string): string {
  return data.replace(/[%$@](?=\()/g, '$&\0')
}

interface Run {
  context: ExpandContext
  problems: string[]
  isSecret: boolean
  replacements: number
}

/** Replaces everything that can be; each `problem` is the middle of a message. */
export function expand(text: string, context: ExpandContext): Expanded {
  const run: Run = { context, problems: [], isSecret: false, replacements: 0 }
  const expanded = expandText(text, run, [])
  return {
    text: expanded.replaceAll('\0', ''),
    problems: [...new Set(run.problems)].slice(0, 5),
    isSecret: run.isSecret,
  }
}

function expandText(text: string, run: Run, trail: readonly string[]): string {
  const expanded = text.replace(/([%$@])\(([^()]*)(\)?)/g, (match, sign: string, name: string, close: string) => {
    if (run.problems.length > 0) return match
    if (close === '') return fail(run, `\`${sign}(\` is not closed`)
    if (++run.replacements > REPLACEMENTS) return fail(run, `more than ${REPLACEMENTS} replacements`)
    run.isSecret ||= looksSecret(name)
    if (sign === '$') return readVariable(name, run)
    if (sign === '@') return readFile(name, run)
    return compute(name, run, trail)
  })
  return expanded.length > TEXT_CHARS ? fail(run, `longer than ${TEXT_CHARS} characters`) : expanded
}

function fail(run: Run, problem: string): string {
  run.problems.push(problem)
  return ''
}

function readVariable(name: string, run: Run): string {
  const value = Object.hasOwn(run.context.environment, name) ? run.context.environment[name] : undefined
  if (value === undefined) return fail(run, `the environment has no variable ${name}`)
  return hasControl(value) ? fail(run, `the variable ${name} has more than one line`) : value
}

function readFile(path: string, run: Run): string {
  if (/^[a-z]+:\/\//.test(path)) return fail(run, `@(${path}): only files are read`)
  const file = run.context.read(path)
  if (!file.ok) return fail(run, `@(${path}): ${file.why}`)
  const text = file.text.replace(/^\uFEFF/, '').replace(/\r?\n$/, '')
  return hasControl(text) ? fail(run, `@(${path}): the file has more than one line`) : text
}

function hasControl(text: string): boolean {
  return /[\0-\x08\x0a-\x1f\x7f]/.test(text)
}

/** uWSGI's pipeline of names, numbers and operators, from left to right. */
function compute(expression: string, run: Run, trail: readonly string[]): string {
  const words = expression.split(' ').filter(word => word !== '')
  if (words.length === 0) return fail(run, '`%()` names no key')
  let value = ''
  let operator = ''
  for (const word of words) {
    if (/^[-+*/]$/.test(word)) operator = word
    else if (word === '++' || word === '--') value = calculate(value, word.slice(1), '1')
    else {
      const operand = /^\d+$/.test(word) && words.length > 1 ? word : resolveKey(word, run, trail)
      value = operator === '' ? value + operand : calculate(value, operator, operand)
      operator = ''
    }
  }
  return value
}

function resolveKey(key: string, run: Run, trail: readonly string[]): string {
  if (trail.includes(key)) return fail(run, `placeholders in a circle: ${[...trail, key].join(' → ')}`)
  if (trail.length >= DEPTH) return fail(run, `placeholders nested deeper than ${DEPTH}`)
  if (key === '_') return fail(run, '`%(_)` has a value only between `if-…` or `for` and its end')
  const value = run.context.firstValue(key)
  if (value === undefined) return fail(run, `no key ${key} for the placeholder \`%(${key})\``)
  run.isSecret ||= looksSecret(key)
  return expandText(value, run, [...trail, key])
}

/** Whole numbers as strtoll(3) reads them: the leading digits, otherwise 0. Division by zero gives 0. */
function calculate(left: string, operator: string, right: string): string {
  const [a, b] = [readInteger(left), readInteger(right)]
  if (operator === '+') return String(a + b)
  if (operator === '-') return String(a - b)
  if (operator === '*') return String(a * b)
  return String(b === 0n ? 0n : a / b)
}

function readInteger(text: string): bigint {
  return BigInt(/^\s*([-+]?\d{1,18})/.exec(text)?.[1]?.replace('+', '') ?? '0')
}
