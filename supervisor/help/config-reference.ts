/**
 * `docs/options.md`, printed from the option table by `daimyo help options`. A test compares the file with it. Pure.
 */

import { type OptionRow, SECTIONS, type TakesEffect } from '../../kit/options/kinds/option-row.js'
import { type OptionName, optionNames, rowOf } from '../../kit/options/options.js'
import { optionsIn } from '../../kit/options/settings.js'
import { IGNORED_OPTIONS, REFUSED_OPTIONS } from '../../kit/options/words/ignored-options.js'
import { WORKER_VARIABLES } from '../child/spawn-environment.js'
import { SERVERS, type Server } from '../config/foreign-names.js'
import { FILE_BYTES } from '../config/ini/config-files.js'
import { BLOCK_OPENERS } from '../config/ini/ini-blocks.js'
import { LINE_CHARS } from '../config/ini/ini-lines.js'
import { MAGIC_VARIABLES } from '../config/ini/magic-variables.js'

const TAKES_EFFECT: Record<TakesEffect, string> = {
  live: 'at the reload',
  'next-generation': 'at the reload, with the new workers',
  restart: 'after stop and start',
}

const INTRODUCTION = `# Options

Printed from the option table by \`daimyo help options > docs/options.md\`; do not edit it by hand.

Every option can stand in the INI (\`name = value\`, below \`[uwsgi]\`) and on the command line (\`--name value\`). A
value of the command line overrides the INI, also if it stands before the INI; to a repeatable option it adds a value.
\`daimyo check FILE\` shows the values in effect and where they come from, \`--all\` the defaults too.

## The INI

The grammar is uWSGI's. Each line has one \`key = value\`; blanks around key and value do not count. A key without \`=\`
is a switch that is on. \`;\` and \`#\` begin a comment only at the start of a line: after a value they belong to the
value. The order of lines counts: each line of a repeatable option adds a value; for any other option the last line
counts. A line may have ${LINE_CHARS} characters, a file ${FILE_BYTES} bytes.

- \`[uwsgi]\` is read; other sections of the file are not, unless \`file.ini:section\` or \`ini = :section\` names them.
- \`[location:/path]\` holds options for a path and everything below it, by whole segments: ${optionsIn('location')
  .map(name => `\`${name}\``)
  .join(', ')}.
  The narrowest place that gives an option counts, then the next wider one, and at last \`[uwsgi]\`. Such sections may
  stand in each file that is read. Sections of one place add up; sections of other programs are ignored.
- \`ini = other.ini\`, \`ini = other.ini:section\`, \`ini = :section\` (also \`include\`) put the lines of another file
  or section in this place. Paths count from the folder in which daimyo was started; \`%d\` is the folder of the file.
- \`%(key)\` is the first value of that key. A key that no option has is a placeholder as soon as another line uses it;
  \`set-placeholder = key=value\` (also \`set-ph\`, \`set\`) sets one in any case. \`%(a b + 2)\` joins a and b and
  adds 2.
- \`$(NAME)\` is an environment variable, \`@(file)\` the text of a file without its last newline.
- ${BLOCK_OPENERS.map(name => `\`${name}\``).join(', ')}
  … \`else\` … \`endif\` or \`endfor\` read their lines under a condition or several times; \`%(_)\` is the value that
  was found. These blocks cannot be nested.

These differences from uWSGI are on purpose:

- Everything that uWSGI would skip silently is a mistake, such as an unknown option, an unknown placeholder or magic
  variable, and a missing environment variable. All mistakes are reported at once, and nothing is started.
- \`%(key)\` may name a key of a later line.
- Text that comes from a variable or a file is not replaced again.
- \`:section\` is a section of the file in which it stands.
- Options of the command line override the INI, also if they stand before it.
`

const THE_LOG = `## The log

There is one log: a file, or standard output. It has three kinds of lines.

A request is a line in nginx's \`combined\` format, with three more fields at its end:

    203.0.113.7 - - [21/Nov/2026:10:00:00 +0000] "GET /api/x HTTP/1.1" 200 312 "-" "curl/8.5" 0.003 2 1

The fields are client, time, request, status, bytes sent, Referer and User-Agent; then the seconds until the response
was complete, the slot of the worker that responded (\`-\`: none, as for files), and the number of workers that were
tried. With \`log-request-id\` the id follows. \`disable-logging\` leaves these lines out. On standard output, which may
be the journal, request, Referer and User-Agent have at most 12,000 characters, and \`<\` is \`\\x3C\`.

- Status 499: the client went away before there was a response.
- Status 503 can also mean that a stop left no worker for the request (\`stopping\` in
  \`daimyo_error_answers_total\`).
- Status 504 can also mean that an application still had the request at the end of \`reload-mercy\`, which cut it
  (\`cut-by-stop\`).
- A response that breaks off has the status with which it began, whichever side broke it off.
- Each request that a stop cuts has its line, except after a second SIGINT.
- A client of a unix socket is \`unix:\`, unless a trusted proxy names the client.
- A request that could not be read has \`"-"\` in place of its request line.

An event of daimyo's own life is a line with the time, the name of the event, and fields, as JSON strings where they
need quotes. \`why\` gives the reason:

    2026-11-21T10:00:00.000Z worker-exit slot=1 pid=412 generation=1 signal=SIGKILL why=harakiri aliveMs=31522

- \`why=died\`: the process ended without an order of daimyo, by itself (\`code\`) or by a signal of another process.
- \`why=ipc-closed\`: the process closed its channel to the master and did not end, so daimyo killed it.
- \`why=link-broken\`: the worker was killed because its application wrote to the worker's own connection with a
  proxy. \`worker-broke-link\` before it gives the details.
- \`worker-not-started\`: there was no process for the worker. \`why\` says what is missing, \`remedy\` what to do.
- \`not-listening\`: a worker still starts. \`why\` says what it waits for, as far as daimyo knows.
- \`reload-failed\`: a reload was refused or rolled back, and the workers of \`generation\` go on. \`why\` gives the
  reason; \`reload-failed-line\` after it shows the output of the worker or the hook.
- \`reload-start why=release-gone\`: the release of the workers was removed, and its link leads to another one.
- \`worker-left-processes\`: a worker has ended, and processes that its application started are still there, by name
  and pid. \`why=ended\`: daimyo ends them; with \`keep-children\` \`why=kept\`.
- \`worker-processes-killed\`: SIGTERM did not end them.
- \`proxy-woken\`: another process had stopped the proxy (SIGSTOP).
- \`tracer-killed\`: a process of the service's user traced a killed process and kept it from its end for three
  seconds. \`tracer\` and \`name\` say which process it was.
- \`worker-unkillable\`, \`proxy-unkillable\`, \`child-unkillable\` (a hook, a daemon, a cron job): the process has not
  ended ten seconds after SIGKILL. \`stays\` says what holds it. daimyo does not wait for it any longer; \`daimyo status\`
  shows it until it ends (\`worker-exit\`). A slot with two of them gets no further worker.
- \`slot-held-back\`, once a minute for each slot: the slot waits with its next worker. \`why=leaving\`: until two of its
  former workers have ended. \`why=unended\`: two of its former workers do not end. \`why=pace\`: its workers ask for
  their replacement too soon after their start.
- \`strange-children-killed\`: the loop of the master stood still for two seconds or more (\`stillMs\`), and the master
  had \`count\` children that it had not started (clone(2) with CLONE_PARENT). \`name\` is the name of the first one.
- \`strange-children-unwatched\`: daimyo does not look for such children. \`why\` gives the reason.
- \`watch-blind\`: \`touch-reload\` or a similar option cannot look at a path.
- \`run-folder-restored\`, \`control-socket-restored\`: it had been removed. \`run-folder-lost\`: it cannot be made again,
  \`why\` gives the reason.
- \`worker-retiring why=socket-gone\`: a socket of the worker was missing for a second, because it was removed, or
  because the application closed its server and did not listen again. If that happens again within ten seconds, the
  next replacements wait up to 30 s.
- \`restart-needed\`: daimyo or Node were upgraded since the start of the master. \`why\` names the versions.

Every other line is the unchanged output of the workers, hooks, daemons and cron jobs.

If standard output leads to the journal of systemd, each line except those of requests begins with a priority:
\`<3>\` for an error, \`<4>\` for a warning, \`<6>\` for the rest. journald takes it off, and \`journalctl -p warning\`
shows the lines that need attention. Lines of an application get \`<6>\` on its standard output and \`<4>\` on standard
error. A line that begins with a priority of its own (sd-daemon(3)) keeps it, except that 0 to 2 become 3; indented
lines after it, such as those of a stack, get the same priority.
`

/** The whole reference, with a newline at its end. */
export function configReference(): string {
  return [
    INTRODUCTION,
    printMagic(),
    ...Object.keys(SECTIONS).map(printSection),
    printWorkerVariables(),
    THE_LOG,
    printIgnored(),
    printRefused(),
  ].join('\n')
}

function printMagic(): string {
  const rows = [...MAGIC_VARIABLES].map(([letter, { meaning }]) => `| \`%${letter}\` | ${meaning} |\n`)
  const when = 'Replaced in keys and values while the file is read.'
  return `### Magic variables\n\n${when}\n\n| variable | is |\n|---|---|\n${rows.join('')}`
}

function printWorkerVariables(): string {
  const rows = WORKER_VARIABLES.map(([name, meaning]) => `| \`${name}\` | ${meaning} |\n`)
  const rest =
    'A worker also gets the environment of daimyo, without the variables that are for daimyo alone (SECURITY.md), and ' +
    'the variables of the INI. Commands around the application get only these. `globalThis.daimyo` is there too ' +
    '(`mount-harakiri`).'
  const site =
    'The site, which responds to clients, is one server of the application: the one on `app-port`, else the one on ' +
    'PORT, else the first that listens. All other servers are opened by each worker itself.\n\n' +
    'If another server listens before the one on PORT, a worker that has loaded and still has work to do is ready two ' +
    'seconds later; this applies at least to the first worker of each reload. If the server on PORT came later than ' +
    'that, the next workers wait for it, for at most half of `worker-start-timeout`. `app-port` avoids this wait. In ' +
    'the log `site-doubtful` names both servers if the first was taken and another one listens; `site-late` says that ' +
    'the one on PORT came when the other one already served.\n\n' +
    'Requests of the application to its own site, at `localhost`, 127.0.0.1 or `::1` and the port that its code ' +
    'listens on, reach the same worker, without the proxy and without TLS. Threads and child processes have to use a ' +
    'port of `http`.'
  return `## What a worker finds in its environment\n\n| variable | is |\n|---|---|\n${rows.join('')}\n${rest}\n\n${site}\n`
}

function printSection(section: string): string {
  const title = Object.entries(SECTIONS).find(([name]) => name === section)?.[1] ?? section
  const names = optionNames().filter(name => rowOf(name).section === section)
  return `## ${title}\n\n${names.map(printOption).join('\n')}`
}

function printOption(name: OptionName): string {
  const list = optionFacts(name).map(([label, text]) => `- ${label}: ${text}\n`)
  return `### ${name}\n\n${rowOf(name).summary}\n\n${list.join('')}`
}

/** The facts of an option in the table, without its summary. */
export function optionFacts(name: OptionName): [label: string, text: string][] {
  const row = rowOf(name)
  const facts: [string, string | undefined][] = [
    ['also', row.aliases?.map(alias => `\`${alias}\``).join(', ')],
    ['accepted', row.kind.accepts],
    ['default', row.default === null ? 'none' : `\`${row.default}\``],
    ['repeatable', row.repeatable === true ? 'yes' : undefined],
    ['also for a place', row.scopes?.map(scope => `in a section \`[${scope}:…]\``).join(', ')],
    ['a change counts', TAKES_EFFECT[row.takesEffect]],
    ['in place of', printReplaced(row.replaces)],
    ['example', `\`${row.example}\``],
  ]
  return facts.flatMap(([label, text]) => (text === undefined ? [] : [[label, text] as [string, string]]))
}

function printReplaced(replaces: OptionRow['replaces'] = {}): string | undefined {
  const parts = Object.entries(SERVERS).flatMap(([server, title]) => {
    const names = replaces[server as Server]
    return names === undefined ? [] : [`${title} \`${names}\``]
  })
  return parts.length === 0 ? undefined : parts.join(', ')
}

function printIgnored(): string {
  return `## Accepted, but without a meaning in Node\n\n${printTable(
    'why',
    Object.entries(IGNORED_OPTIONS).map(([name, { why }]) => [name, why]),
  )}`
}

function printRefused(): string {
  const reason = 'Options of uWSGI that would promise something that does not happen.'
  return `## Refused\n\n${reason}\n\n${printTable('instead', Object.entries(REFUSED_OPTIONS))}`
}

function printTable(title: string, rows: [string, string][]): string {
  const lines = rows.map(([name, text]) => `| \`${name}\` | ${text.replaceAll('|', '\\|')} |\n`)
  return `| option | ${title} |\n|---|---|\n${lines.join('')}`
}
