/**
 * Parses the command line: which command, which INI, which options. Pure. Values are judged later, with those of the
 * INI, so that all mistakes are reported at once. Only what cannot be parsed is a usage error here.
 */

import { EXIT } from '../../kit/ground/failure.js'
import { acceptedKeys, isOptionKey, optionNamed, rowOf } from '../../kit/options/options.js'
import { IGNORED_OPTIONS } from '../../kit/options/words/ignored-options.js'
import { didYouMean, nearestName } from '../../kit/options/words/nearest-name.js'
import { FOREIGN_COMMANDS, whatIsMeant } from '../config/foreign-names.js'
import { SETTERS } from '../config/ini/ini-reader.js'
import type { Flag } from '../config/option-values.js'

/** What every command that reads the configuration needs. `iniPath` as written, null: none was named. */
export interface ConfigArguments {
  iniPath: string | null
  flags: Flag[]
}

export type CommandLine =
  | ({ command: 'run' } & ConfigArguments)
  /** `all`: with the defaults. */
  | ({ command: 'check'; all: boolean } & ConfigArguments)
  | ({ command: 'start' } & ConfigArguments)
  | ({ command: 'stop' } & ConfigArguments)
  /** `waits`: until the reload is done or has failed. */
  | ({ command: 'reload'; waits: boolean } & ConfigArguments)
  /** Numbers as written: the running master judges them. */
  | ({ command: 'scale'; wanted: number | 'auto' } & ConfigArguments)
  | ({ command: 'restart-worker'; slot: number } & ConfigArguments)
  | ({ command: 'pause' | 'resume' | 'top' } & ConfigArguments)
  | ({ command: 'logs'; action: 'reopen' } & ConfigArguments)
  /** `json`: print the raw report. */
  | ({ command: 'status'; json: boolean } & ConfigArguments)
  /** `path` begins with `/`. `head`: print the head of the answer too. */
  | ({ command: 'get'; path: string; head: boolean } & ConfigArguments)
  /** `folder` null: print. */
  | ({ command: 'systemd'; folder: string | null } & ConfigArguments)
  | ({ command: 'doctor' } & ConfigArguments)
  | { command: 'hash-password' }
  | { command: 'help'; topic: HelpTopic }
  /** An option, or a word that the help may know. */
  | { command: 'explain'; word: string }
  | { command: 'version' }
  /** `message` reads `what: received X: accepted Y`. */
  | { command: 'usage-error'; message: string; exitCode: number }

/** `options`: the reference of all options as Markdown. `service`, `socket`: the template units. */
export type HelpTopic = 'usage' | (typeof HELP_TOPICS)[number]

const HELP_TOPICS = ['options', 'service', 'socket'] as const

type ConfigCommand = Extract<CommandLine, ConfigArguments>['command']

const CONFIG_COMMANDS: readonly ConfigCommand[] = [
  'run',
  'check',
  'start',
  'stop',
  'reload',
  'status',
  'get',
  'scale',
  'restart-worker',
  'pause',
  'resume',
  'logs',
  'systemd',
  'doctor',
  'top',
]
const COMMANDS: readonly string[] = [...CONFIG_COMMANDS, 'hash-password', 'help', 'version']

/** Switches of single commands; no option of the configuration has these names. */
const SWITCHES: Readonly<Record<string, ConfigCommand>> = {
  '--json': 'status',
  '--all': 'check',
  '-i': 'get',
  '--wait': 'reload',
  '--no-wait': 'reload',
}

/** Commands whose first word is not the INI, and the form of that word. */
const OPERANDS: { [C in ConfigCommand]?: { pattern: RegExp; name: string; accepts: string } } = {
  get: { pattern: /^\//, name: 'path', accepts: 'a path such as `/api/v1/_about`' },
  scale: { pattern: /^(\d{1,9}|auto)$/, name: 'number', accepts: 'how many workers, or `auto` for what the INI says' },
  'restart-worker': { pattern: /^\d{1,9}$/, name: 'slot', accepts: 'a slot of `daimyo status`, such as 1' },
  logs: { pattern: /^reopen$/, name: 'word', accepts: '`daimyo logs reopen`' },
}

interface Words {
  positionals: string[]
  flags: Flag[]
  switches: Set<string>
  iniPath: string | null
  wants: 'help' | 'version' | null
  error: string | null
}

/** Parses `argv`, the words behind the program's name. `DAIMYO_INI` names the INI if no word does. */
export function parseCommandLine(
  argv: readonly string[],
  environment: Record<string, string | undefined>,
): CommandLine {
  // Elsewhere `-v` means "verbose": behind a command it must not look as if the command had been carried out.
  if (argv.length === 1 && (argv[0] === '-V' || argv[0] === '-v')) return { command: 'version' }
  const words = sortWords(argv)
  const [first = ''] = words.positionals
  if (words.wants === 'help') return COMMANDS.includes(first) ? parseHelp([first]) : parseHelp([])
  if (words.wants === 'version') return { command: 'version' }
  // The word of `help` may be an option, which has no value here.
  if (argv[0] === 'help') return parseHelp(argv.slice(1))
  if (words.error !== null) return usageError(words.error)
  if (!COMMANDS.includes(first)) {
    const problem = words.positionals.length === 0 ? null : whyNoCommand(first)
    return problem === null ? complete('run', words.positionals, words, environment) : usageError(problem)
  }
  const rest = words.positionals.slice(1)
  if (first === 'help') return parseHelp(rest)
  if (first === 'version') return { command: 'version' }
  if (first === 'hash-password') return parseHashPassword(rest, words)
  return complete(CONFIG_COMMANDS.find(name => name === first) ?? 'run', rest, words, environment)
}

function parseHelp([topic, ...more]: string[]): CommandLine {
  if (topic === undefined) return { command: 'help', topic: 'usage' }
  const known = HELP_TOPICS.find(name => name === topic)
  if (more.length > 0) return usageError(`help: received ${[topic, ...more].join(' ')}: accepted one word at most`)
  return known === undefined ? { command: 'explain', word: topic } : { command: 'help', topic: known }
}

/** A password on the command line would be seen by every user of the machine (ps). */
function parseHashPassword(rest: string[], { flags, switches }: Words): CommandLine {
  if (rest.length + flags.length + switches.size === 0) return { command: 'hash-password' }
  return usageError(
    'hash-password: received arguments: accepted none: the password is read from the terminal or from standard input',
  )
}

function complete(
  command: ConfigCommand,
  positionals: string[],
  words: Words,
  environment: Record<string, string | undefined>,
): CommandLine {
  const operand = OPERANDS[command]
  const [first = '', ...others] = operand === undefined ? ['', ...positionals] : positionals
  if (operand !== undefined && !operand.pattern.test(first)) {
    return usageError(`${command}: received ${first || `no ${operand.name}`}: accepted ${operand.accepts}`)
  }
  const wrong = [...words.switches].find(name => SWITCHES[name] !== command)
  if (wrong !== undefined)
    return usageError(`${wrong}: received with \`${command}\`: accepted with \`${SWITCHES[wrong]}\``)
  const [positional, second, third] = others
  const [folder, tooMuch] = command === 'systemd' ? [second ?? null, third] : [null, second]
  const problem = whyNoIni(command, positional, tooMuch, words)
  if (problem !== null) return usageError(problem)
  const iniPath = positional ?? words.iniPath ?? (environment.DAIMYO_INI || null)
  if (iniPath === null && words.flags.length === 0) {
    return usageError(
      `${command}: received no configuration: accepted an INI, such as \`daimyo ${command} conf/farm.ini\`, options, or DAIMYO_INI in the environment`,
    )
  }
  if (command === 'systemd') return { command, folder, iniPath, flags: words.flags }
  return withOperand(command, first, words, { iniPath, flags: words.flags })
}

function withOperand(
  command: Exclude<ConfigCommand, 'systemd'>,
  first: string,
  { switches }: Words,
  rest: ConfigArguments,
): CommandLine {
  switch (command) {
    case 'status':
      return { command, json: switches.has('--json'), ...rest }
    case 'check':
      return { command, all: switches.has('--all'), ...rest }
    case 'reload':
      return { command, waits: !switches.has('--no-wait'), ...rest }
    case 'get':
      return { command, path: first, head: switches.has('-i'), ...rest }
    case 'scale':
      return { command, wanted: first === 'auto' ? first : Number(first), ...rest }
    case 'restart-worker':
      return { command, slot: Number(first), ...rest }
    case 'logs':
      return { command, action: 'reopen', ...rest }
    default:
      return { command, ...rest }
  }
}

function whyNoIni(
  command: string,
  positional: string | undefined,
  tooMuch: string | undefined,
  words: Words,
): string | null {
  if (tooMuch !== undefined) return `${command}: received ${tooMuch} besides ${positional}: accepted one INI`
  if (positional !== undefined && words.iniPath !== null) {
    return `${command}: received ${positional} besides --ini ${words.iniPath}: accepted one INI`
  }
  return null
}

/** `daimyo relaod` must not look for a file of that name. */
function whyNoCommand(word: string): string | null {
  if (/[./:]/.test(word)) return null
  const hint = foreignCommand(word) || didYouMean(nearestName(word, COMMANDS))
  return `unknown command: received ${word}: accepted ${COMMANDS.join(', ')}, or an INI with its ending${hint}`
}

function sortWords(argv: readonly string[]): Words {
  const words: Words = { positionals: [], flags: [], switches: new Set(), iniPath: null, wants: null, error: null }
  for (let index = 0; index < argv.length && words.error === null; ) {
    index += takeWord(argv[index] ?? '', argv[index + 1], words)
  }
  return words
}

/** Takes a word and, if it needs one, its value. Returns the number of words taken. */
function takeWord(word: string, next: string | undefined, words: Words): number {
  if (word === '--help' || word === '-h') words.wants ??= 'help'
  else if (word === '--version') words.wants ??= 'version'
  else if (Object.hasOwn(SWITCHES, word)) words.switches.add(word)
  else if (word.startsWith('--')) return takeFlag(word, next, words)
  else if (/^-./.test(word))
    words.error = `unknown option: received ${word}: accepted options with two dashes, see \`daimyo --help\`${foreignCommand(word)}`
  else words.positionals.push(word)
  return 1
}

function foreignCommand(word: string): string {
  return Object.hasOwn(FOREIGN_COMMANDS, word) ? ` (here: ${FOREIGN_COMMANDS[word]})` : ''
}

function takeFlag(word: string, next: string | undefined, words: Words): number {
  const at = word.indexOf('=')
  const name = word.slice(2, at === -1 ? undefined : at)
  const place = `--${name}`
  if (name !== 'ini' && !SETTERS.has(name) && !isOptionKey(name)) {
    const names = [...acceptedKeys(), 'ini', 'help', 'version', 'json', 'all', 'wait', 'no-wait', 'set-placeholder']
    const hint = whatIsMeant(name, names, option => `--${option}`)
    words.error = `unknown option: received ${place}: accepted an option of \`daimyo --help\`${hint}`
    return 1
  }
  const value = at === -1 ? valueAfter(name, next) : { text: word.slice(at + 1), words: 1 }
  if (value === null) words.error = `${place}: received no value: accepted \`${place} VALUE\` or \`${place}=VALUE\``
  else if (name !== 'ini') words.flags.push({ name, value: value.text, place })
  else if (words.iniPath !== null)
    words.error = `${place}: received ${words.iniPath} and ${value.text}: accepted one INI`
  else words.iniPath = value.text
  return value?.words ?? 1
}

/** A switch takes the next word only if it can be nothing but its value. */
function valueAfter(name: string, next: string | undefined): { text: string; words: number } | null {
  if (needsValue(name)) return next === undefined || next.startsWith('--') ? null : { text: next, words: 2 }
  return next !== undefined && isSwitchValue(name, next) ? { text: next, words: 2 } : { text: '', words: 1 }
}

function needsValue(name: string): boolean {
  const option = optionNamed(name)
  if (option !== null) return rowOf(option).kind.isSwitch !== true
  return IGNORED_OPTIONS[name]?.takesValue !== false
}

function isSwitchValue(name: string, text: string): boolean {
  if (/^(true|false|1|0|yes|no|on|off)$/i.test(text)) return true
  const option = optionNamed(name)
  if (option === null || rowOf(option).kind.symbol === '' || text.startsWith('-')) return false
  return rowOf(option).kind.parse(text, { cwd: '/', chdir: '/', cores: 1 }).ok && !/\.ini(:|$)/.test(text)
}

function usageError(message: string): CommandLine {
  return { command: 'usage-error', message, exitCode: EXIT.usage }
}
