/**
 * `docs/options.md`, printed from the option table by `daimyo help options`. A test compares the file with it. Pure.
 */

import { type OptionRow, SECTIONS, type TakesEffect } from '../../kit/options/kinds/option-row.js'
import { type OptionName, optionNames, rowOf } from '../../kit/options/options.js'
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

Every option can stand in the INI (\`name = value\`, below \`[uwsgi]\`) and on the command line (\`--name value\`). The
command line goes before the INI wherever it stands, and adds to repeatable options. \`daimyo check FILE\` shows the
values in effect and where they come from, \`--all\` the defaults too.

## The INI

The grammar is uWSGI's. One \`key = value\` a line; blanks around both do not count. A key without \`=\` is a switch
that is on. \`;\` and \`#\` begin a comment only at the start of a line: behind a value they belong to it. Lines keep
their order: a repeatable option adds a value with each line, of any other the last line counts. A line may have
${LINE_CHARS} characters, a file ${FILE_BYTES} bytes.

- \`[uwsgi]\` is read; other sections of the file are not, unless \`file.ini:section\` or \`ini = :section\` names them.
- \`ini = other.ini\`, \`ini = other.ini:section\`, \`ini = :section\` (also \`include\`) put the lines of another file
  or section in this place. Paths count from the folder in which daimyo was started; \`%d\` is the folder of the file.
- \`%(key)\` is the first value of that key. A key that no option has is a placeholder as soon as another line uses it;
  \`set-placeholder = key=value\` (also \`set-ph\`, \`set\`) sets one in any case. \`%(a b + 2)\` joins a and b and
  adds 2.
- \`$(NAME)\` is an environment variable, \`@(file)\` the text of a file without its last newline.
- ${BLOCK_OPENERS.map(name => `\`${name}\``).join(', ')}
  … \`else\` … \`endif\` or \`endfor\` take their lines under a condition or several times; \`%(_)\` is the value that
  was found. They cannot be nested.

Different from uWSGI, on purpose: whatever uWSGI would skip silently is a mistake, an unknown option, an unknown
placeholder or magic variable and a missing environment variable among them; all mistakes are told at once, and nothing
is started. \`%(key)\` resolves whatever the order of the lines. Text that comes from a variable or a file is not
replaced again. \`:section\` is a section of the file in which it stands. Flags win even where they stand before the
INI on the command line.
`

const THE_LOG = `## The log

One file, or standard output, has three kinds of lines.

A request, in nginx's \`combined\` format with three fields more, seconds, slot and attempts:

    203.0.113.7 - - [21/Nov/2026:10:00:00 +0000] "GET /api/x HTTP/1.1" 200 312 "-" "curl/8.5" 0.003 2 1

Behind client, time, request, status, bytes sent, Referer and User-Agent stand the seconds until the answer was complete, the slot of the worker that
answered (\`-\`: none, as for files) and how many workers were tried. Status 499: the client went away before there was an answer; 503 also: a
stop left nobody for it (\`stopping\` in \`daimyo_error_answers_total\`); 504 also: the end of \`reload-mercy\` cut it while an application had it (\`cut-by-stop\`). An answer that breaks off has
the status with which it had begun, whoever broke it off. Nothing that a stop cuts is without its line, but at a second SIGINT. A client
of a unix socket is \`unix:\`, unless a trusted proxy speaks for it. A request that could not be read has \`"-"\` in place of its line. With
\`log-request-id\` the id follows. \`disable-logging\` leaves these lines out.

An event of daimyo's own life: the time, what happened, and fields, as JSON strings where they need quotes. \`why\` says what it happened for:

    2026-11-21T10:00:00.000Z worker-exit slot=1 pid=412 generation=1 signal=SIGKILL why=harakiri aliveMs=31522

\`why=died\` is an end that nobody asked for, by itself (\`code\`) or by somebody else's signal. \`why=link-broken\` is a worker that was killed because its
application wrote to the worker's own connection with a proxy; \`worker-broke-link\` before it says what. \`worker-not-started\` is one for which there was
no process: \`why\` says what is missing, \`remedy\` what to do. \`not-listening\` is a worker that still starts: \`why\` says what it waits for, as far as daimyo knows. \`reload-failed\`: a reload was refused or rolled back, and the workers of \`generation\` go on; \`why\` says the reason, \`reload-failed-line\` behind it what the worker or the hook printed. \`reload-start why=release-gone\`: the release of the workers was removed, and its link leads to another one.
\`worker-left-processes\`: what the application of a worker that has ended had started and not ended, by name and pid; \`why=ended\` or, with \`keep-children\`,
\`why=kept\`. \`worker-processes-killed\`: SIGTERM did not end them. \`proxy-woken\`: somebody had stopped it (SIGSTOP). \`tracer-killed\`: a process of the
service's user traced a process that was killed, and kept it from its end for three seconds; \`tracer\` and \`name\` say which. \`worker-unkillable\`,
\`proxy-unkillable\`, \`child-unkillable\` (a hook, a daemon, a cron job): ten seconds after SIGKILL the process has not ended; \`stays\` says what holds it. Nobody waits for
it any more; \`daimyo status\` shows it until it ends (\`worker-exit\`), and a slot with two of them gets no further worker. \`slot-held-back\`,
once a minute for each slot: it waits with its next worker, \`why=leaving\` for two of its former ones to end, \`why=unended\` because two of them do not, \`why=pace\` because
its workers ask for their replacement too soon after their start. \`strange-children-killed\`: the loop of the
master stood still for two seconds and more (\`stillMs\`), and \`count\` processes were its children that it had not started (clone(2) with CLONE_PARENT); \`name\` is that of the first one.
\`strange-children-unwatched\`: nobody looks for them, \`why\` says the reason. \`watch-blind\`: \`touch-reload\`
or its like cannot look at a path. \`run-folder-restored\`,
\`control-socket-restored\`: they had been removed; \`run-folder-lost\` says why they cannot be had. \`worker-retiring why=socket-gone\`: one of its sockets was missing
for a second, because it was removed or the application had closed its server and did not listen again; where that happens again within ten seconds, the next replacements wait up to 30 s.

\`restart-needed\`: daimyo or Node were upgraded since the master was started; \`why\` names the versions.

Anything else is what the workers, hooks, daemons and cron jobs print, as it is.

Where standard output leads to the journal of systemd, each line but those of requests has a priority in front, \`<3>\` for an error, \`<4>\` for a warning, \`<6>\` for the rest, which
journald takes off: \`journalctl -p warning\` shows what somebody should look at. Lines of an application are \`<6>\` from its standard output and \`<4>\` from standard error. A line that
begins with a priority of its own (sd-daemon(3)) keeps it, but for 0 to 2, which become 3; indented lines behind it, as of a stack, have the same.
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
    'The rest is the environment of daimyo without what speaks to daimyo alone (SECURITY.md), and what the INI adds. Commands around the application have ' +
    'that rest only. `globalThis.daimyo` is there, too (`mount-harakiri`).'
  const site =
    'The site, of which clients are answered, is one server of the application: the one on `app-port`, else the one on PORT, else the first that listens. Where another ' +
    'one listens before the one on PORT, a worker that has loaded and still has something to do is ready two seconds later, the first of each reload at least; where the one on PORT has come later than that, the next workers wait for it, for half of `worker-start-timeout` at most; ' +
    '`app-port` saves that. `site-doubtful` in the log names both where the first was taken and another one listens, `site-late` where the one on PORT came when the ' +
    'other one already served. All other servers are opened by each worker itself. Requests of the application to its own site, to the port that it ' +
    'listens on by its own code at `localhost`, 127.0.0.1 or `::1`, reach the same worker, without the proxy and without TLS; threads and child processes have to ask a port of `http`.'
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

/** What the table says of an option besides its summary. */
export function optionFacts(name: OptionName): [label: string, text: string][] {
  const row = rowOf(name)
  const facts: [string, string | undefined][] = [
    ['also', row.aliases?.map(alias => `\`${alias}\``).join(', ')],
    ['accepted', row.kind.accepts],
    ['default', row.default === null ? 'none' : `\`${row.default}\``],
    ['repeatable', row.repeatable === true ? 'yes' : undefined],
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
