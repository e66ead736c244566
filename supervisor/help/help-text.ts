/**
 * `daimyo --help` and `daimyo help WORD`, printed from the option table. Pure.
 */

import { SECTIONS } from '../../kit/options/kinds/option-row.js'
import { acceptedKeys, type OptionName, optionNamed, optionNames, rowOf } from '../../kit/options/options.js'
import { IGNORED_OPTIONS, REFUSED_OPTIONS } from '../../kit/options/words/ignored-options.js'
import {
  describeForeign,
  FOREIGN_COMMANDS,
  foreignName,
  SERVERS,
  type Server,
  type Topic,
  topicOf,
  whatIsMeant,
} from '../config/foreign-names.js'
import { optionFacts } from './config-reference.js'

const COLUMNS = 100
const USAGE_COLUMNS = 44
/** The columns of the usage, because a narrower text beside the commands is hard to read. */
const WIDE_COLUMNS = 120

const COMMANDS: [usage: string, text: string][] = [
  ['[run] [INI] [--OPTION[=VALUE]]...', 'serve in the foreground'],
  ['check [--all] [INI]', 'say what is wrong with the configuration, or what is in effect; --all: defaults too'],
  ['start [INI]', 'serve in the background; returns when clients are answered'],
  ['stop [INI]', 'answer what is in flight, then end'],
  ['status [--json] [INI]', 'workers and proxies; --json prints the raw report'],
  [
    'reload [--no-wait] [INI]',
    'new code and new INI; waits for the new workers: 0 when they serve, 1 when the configuration or the code is refused and the old ones go on; --no-wait only asks for it',
  ],
  ['top [INI]', 'the same as status, live; q ends it'],
  ['scale N|auto [INI]', 'so many workers, or as many as the INI says'],
  ['restart-worker SLOT [INI]', 'replace one worker: the new one is ready before the old one goes'],
  ['pause|resume [INI]', 'hold requests back in the queue, and let them go on'],
  ['logs reopen [INI]', 'after a rotation'],
  ['get [-i] PATH [INI]', 'ask the running server; -i shows the head of the answer'],
  ['hash-password', 'make the hash for metrics-auth'],
  ['systemd [INI] [FOLDER]', 'print or write the systemd units that fit the INI'],
  ['doctor [INI]', 'compare this host with the INI: what is wrong, and the remedy'],
  ['help [WORD]', 'explain an option, a command, or a word of uWSGI, nginx, PM2 or Gunicorn'],
  ['help options|service|socket', 'all options as Markdown, or the template units of systemd'],
  ['version', 'also --version'],
]

const NOTES = `INI is a file such as conf/farm.ini, or file.ini:section; also --ini INI. Without it: the one that the environment
variable DAIMYO_INI names. Every option can stand in the INI (name = value) and on the command line (--name value); the
command line goes before the INI, and adds to repeatable options. --set-placeholder key=value sets %(key).

Signals to the master: SIGHUP reload, SIGTERM SIGINT SIGQUIT stop, SIGUSR1 open the logs again, SIGUSR2 tell the
workers' state in the log, SIGTSTP pause and go on, SIGTTIN one worker more, SIGTTOU one less.

Options, each explained by "daimyo help NAME":
`

/** The whole help, with a newline at its end: two screens, without the text of every option. */
export function helpText(): string {
  const sections = Object.entries(SECTIONS).map(([section, title]) => {
    const names = optionNames().filter(name => rowOf(name).section === section)
    return `\n${title}:\n${wrap(names.join(' '), 2)}`
  })
  const what =
    'daimyo serves Node applications: a master, HTTP proxies, and workers that run the unmodified application.'
  return `${what}\n\nUsage:\n${COMMANDS.map(describeCommand).join('')}\n${NOTES}${sections.join('')}`
}

/**
 * The help about a word: a command, an option by any of its names, a word of another server, or the options whose names
 * contain it. Null: unknown.
 */
export function explainWord(word: string): string | null {
  if (word === '') return null
  const commands = COMMANDS.filter(([usage]) => usage.split(/[ |[\]]+/).includes(word))
  if (commands.length > 0) return commands.map(describeCommand).join('')
  const option = optionNamed(word.replace(/^--/, ''))
  const topic = topicOf(word.toLowerCase())
  if (option !== null) return `${describeOption(option)}${topic === null ? '' : `\n${describeTopic(word, topic)}`}`
  if (Object.hasOwn(IGNORED_OPTIONS, word)) return `${word}: means nothing in Node: ${IGNORED_OPTIONS[word]?.why}\n`
  if (Object.hasOwn(REFUSED_OPTIONS, word)) return `${word}: cannot work here: ${REFUSED_OPTIONS[word]}\n`
  if (Object.hasOwn(FOREIGN_COMMANDS, word)) return `${word} is here ${FOREIGN_COMMANDS[word]}\n`
  if (topic !== null) return describeTopic(word, topic)
  const foreign = foreignName(word)
  if (foreign !== null)
    return `${describeForeign(word, foreign)}\n${foreign.options.map(name => `\n${describeOption(name)}`).join('')}`
  if (Object.hasOwn(SERVERS, word.toLowerCase())) return describeServer(word.toLowerCase() as Server)
  const names = optionsAbout(word.toLowerCase())
  return names.length === 0 ? null : names.map(describeBriefly).join('')
}

/** Options with the word at the start of a part of their name; if there are none, those with the word in their text. */
function optionsAbout(word: string): OptionName[] {
  if (word.length < 2) return []
  const named = optionNames().filter(name => `-${name}`.includes(`-${word}`))
  if (named.length > 0) return named
  const words = new RegExp(`\\b${word.replace(/\W/g, '\\$&')}(s|es)?\\b`, 'i')
  return optionNames().filter(name => words.test(rowOf(name).summary))
}

function describeTopic(word: string, { text, options }: Topic): string {
  return `${wrap(`${word}: ${text}`, 0)}${options.map(describeBriefly).join('')}`
}

function describeServer(server: Server): string {
  const words = optionNames().flatMap(name => rowOf(name).replaces?.[server]?.match(/[\w-]{2,}/g) ?? [])
  const known = [...new Set(words)].toSorted().join(' ')
  return `${SERVERS[server]}: "daimyo help WORD" says what these words are here:\n${wrap(known, 2)}`
}

/** Suggestions for an unknown word. */
export function nearWord(word: string): string {
  return whatIsMeant(word, [...acceptedKeys(), ...COMMANDS.flatMap(([usage]) => usage.match(/^[a-z-]+/) ?? [])])
}

function describeCommand([usage, text]: [string, string]): string {
  const words = `  daimyo ${usage}`
  const [first = '', ...rest] = wrap(text, USAGE_COLUMNS, WIDE_COLUMNS).split('\n')
  return `${words.padEnd(USAGE_COLUMNS - 1)} ${first.trimStart()}\n${rest
    .filter(line => line !== '')
    .map(line => `${line}\n`)
    .join('')}`
}

function describeOption(name: OptionName): string {
  const { kind, summary, repeatable } = rowOf(name)
  const symbol = kind.symbol === '' ? '' : kind.isSwitch === true ? `[=${kind.symbol}]` : ` ${kind.symbol}`
  const facts = optionFacts(name).map(([label, text]) => wrap(`${label}: ${text}`, 6))
  return `--${name}${symbol}${repeatable === true ? '  (repeatable)' : ''}\n${wrap(summary, 4)}${facts.join('')}`
}

function describeBriefly(name: OptionName): string {
  const [sentence = ''] = rowOf(name).summary.split(/(?<=[.;]) /)
  return `--${name}\n${wrap(sentence, 4)}`
}

function wrap(text: string, indent: number, columns = COLUMNS): string {
  const margin = ' '.repeat(indent)
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && indent + line.length + 1 + word.length > columns) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.map(line => `${margin}${line}\n`).join('')
}
