/**
 * `daimyo --help`, printed from the option table. Pure.
 */

import { MOOT_OPTIONS } from './moot-options.js'
import { type OptionName, optionNames, rowOf, SECTIONS } from './options.js'

const COLUMNS = 100

const USAGE = `daimyo serves Node applications: a master, HTTP proxies, and workers that run the unmodified application.

Usage:
  daimyo [run] [INI] [--OPTION[=VALUE]]...   serve in the foreground
  daimyo check [INI]                         say what is wrong with the configuration, or what is in effect
  daimyo start|stop|status [INI]             in the background; status --json prints the raw report
  daimyo reload [INI]                        waits for the new workers: 0 when they serve, 1 when the configuration or
                                             the code is refused and the old ones go on; --no-wait only asks for it
  daimyo top [INI]                           the same as status, live; q ends it
  daimyo scale N|auto [INI]                  so many workers, or as many as the INI says
  daimyo restart-worker SLOT [INI]           replace one worker: the new one is ready before the old one goes
  daimyo pause|resume [INI]                  hold requests back in the queue, and let them go on
  daimyo logs reopen [INI]                   after a rotation
  daimyo get PATH [INI]                      ask the running server; -i shows the head of the answer
  daimyo hash-password                       make the hash for metrics-auth
  daimyo systemd [INI] [FOLDER]              print or write the systemd units that fit the INI
  daimyo doctor [INI]                        compare this host with the INI: what is wrong, and the remedy
  daimyo help [options|service|socket]       this text, all options as Markdown, or the template units of systemd
  daimyo --version

INI is a file such as conf/farm.ini, or file.ini:section; also --ini INI. Without it: the one that the environment
variable DAIMYO_INI names. Every option can stand in the INI (name = value) and on the command line (--name value); the
command line goes before the INI, and adds to options marked with +. --set-placeholder key=value sets %(key).

Signals to the master: SIGHUP reload, SIGTERM SIGINT SIGQUIT stop, SIGUSR1 open the logs again, SIGUSR2 tell the
workers' state in the log, SIGTSTP pause and go on, SIGTTIN one worker more, SIGTTOU one less.
`

/** The whole help, with a newline at its end. */
export function helpText(): string {
  const sections = Object.entries(SECTIONS).map(([section, title]) => {
    const names = optionNames().filter(name => rowOf(name).section === section)
    return `\n${title}:\n${names.map(describeOption).join('')}`
  })
  const moot = wrap(Object.keys(MOOT_OPTIONS).join(', '), 2)
  return `${USAGE}${sections.join('')}\nAccepted from uWSGI, but without a meaning in Node:\n${moot}\n`
}

function describeOption(name: OptionName): string {
  const { kind, aliases, summary, repeatable, default: otherwise } = rowOf(name)
  const symbol = kind.symbol === '' ? '' : kind.isSwitch === true ? `[=${kind.symbol}]` : ` ${kind.symbol}`
  const also = aliases === undefined ? '' : `  (also ${aliases.map(alias => `--${alias}`).join(', ')})`
  const suffix = otherwise === null ? '' : ` Default: ${otherwise}.`
  return `  --${name}${symbol}${repeatable === true ? ' +' : ''}${also}\n${wrap(`${summary.replaceAll('`', '')}${suffix}`, 6)}`
}

function wrap(text: string, indent: number): string {
  const margin = ' '.repeat(indent)
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && indent + line.length + 1 + word.length > COLUMNS) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.map(line => `${margin}${line}\n`).join('')
}
