/** Tests `supervisor/log/journal.ts`: who writes to the journal of systemd, and how urgent each line is. */

import { fstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { PROXY_EVENTS, WORKER_EVENTS } from '../../../kit/channel/child-events.js'
import { optionNamed } from '../../../kit/options/options.js'
import { configReference } from '../../../supervisor/help/config-reference.js'
import {
  decidedEvents,
  journalLog,
  LinePriorities,
  leadsToJournal,
  PRIORITY,
  priorityOf,
  withPriority,
} from '../../../supervisor/log/journal.js'

t.test('the journal is known by its device and inode', async t => {
  const { dev, ino } = fstatSync(1, { bigint: true })
  const cases: [title: string, stream: string | undefined, descriptor: number, isJournal: boolean][] = [
    ['that descriptor', `${dev}:${ino}`, 1, true],
    ['no journal', undefined, 1, false],
    ['another one, as where a log was redirected', `${dev}:${ino + 1n}`, 1, false],
    ['nonsense', 'here', 1, false],
    ['a descriptor that is closed', `${dev}:${ino}`, 9999, false],
  ]
  for (const [title, JOURNAL_STREAM, descriptor, isJournal] of cases)
    t.equal(leadsToJournal({ JOURNAL_STREAM }, descriptor), isJournal, title)
})

const events: [event: string, fields: Record<string, string | number>, priority: number][] = [
  ['master-ready', {}, PRIORITY.info],
  ['worker-ready', { slot: 1 }, PRIORITY.info],
  ['worker-exit', { code: 0, why: 'reload' }, PRIORITY.info],
  ['worker-exit', { code: 1, why: 'died' }, PRIORITY.error],
  ['worker-exit', { signal: 'SIGKILL', why: 'out-of-memory' }, PRIORITY.error],
  ['proxy-exit', { code: 0, why: 'stop' }, PRIORITY.info],
  ['proxy-exit', { signal: 'SIGSEGV', why: 'died' }, PRIORITY.error],
  ['worker-load-failed', { reason: 'x' }, PRIORITY.error],
  ['reload-failed', { why: 'x' }, PRIORITY.error],
  ['reload-failed-line', { text: '    at x' }, PRIORITY.error],
  ['worker-not-started', { why: 'x' }, PRIORITY.error],
  ['worker-killed', { why: 'x' }, PRIORITY.warning],
  ['worker-broke-channel', { why: 'x' }, PRIORITY.warning],
  ['restart-needed', { why: 'x' }, PRIORITY.warning],
  ['run-folder-lost', { why: 'x' }, PRIORITY.error],
  ['worker-processes-stay', { processes: 1 }, PRIORITY.error],
  ['worker-processes-killed', { processes: 1 }, PRIORITY.warning],
  ['worker-left-processes', { why: 'ended' }, PRIORITY.warning],
  ['worker-left-processes', { why: 'kept' }, PRIORITY.info],
  ['not-listening', { why: 'x' }, PRIORITY.warning],
  ['site-doubtful', {}, PRIORITY.warning],
  ['site-late', {}, PRIORITY.warning],
  ['tracer-killed', { tracer: 7 }, PRIORITY.warning],
  ['proxy-woken', { why: 'stopped' }, PRIORITY.warning],
  ['request-harakiri', {}, PRIORITY.warning],
  ['upstream-out', {}, PRIORITY.warning],
  ['upstream-back', {}, PRIORITY.info],
  ['hook-done', { name: 'x' }, PRIORITY.info],
  ['hook-done', { name: 'x', failed: 'code 1' }, PRIORITY.error],
  ['cron-exit', { code: 0 }, PRIORITY.info],
  ['cron-exit', { code: 1 }, PRIORITY.warning],
  ['daemon-exit', { signal: 'SIGSEGV' }, PRIORITY.warning],
]
t.test('events have the priority of what they tell', async t => {
  for (const [event, fields, priority] of events) t.equal(priorityOf(event, fields), priority, event)
  const lines: string[] = []
  journalLog(line => lines.push(line))('reload-failed', { why: 'no rice' })
  t.match(lines[0], /^<3>\d{4}-\S+ reload-failed why="no rice"\n$/)
})

/** `log('x-y', …)`, `report(`, `channel.event(`, `trouble(`, and findings with a field `event`. */
const TELLING = /(?:\b(?:log|report|event|trouble)\(\s*|#(?:log|report|tell)\(\s*|\bevent: )'([a-z]+(?:-[a-z]+)*)'/g
const top = fileURLToPath(new URL('../../../../', import.meta.url))

/** Names that the master's own code and its children's tell. */
function eventsOfSources(): Set<string> {
  const told = new Set([...Object.keys(WORKER_EVENTS), ...Object.keys(PROXY_EVENTS)])
  for (const folder of ['supervisor', 'proxy', 'app/host', 'kit']) {
    for (const name of readdirSync(join(top, folder), { recursive: true }) as string[]) {
      // They report a family's type by such a call.
      if (!name.endsWith('.ts') || name === 'metrics/merge-families.ts') continue
      for (const [, event] of readFileSync(join(top, folder, name), 'utf8').matchAll(TELLING)) told.add(event!)
    }
  }
  return told
}

t.test('somebody has decided how urgent each event is', async t => {
  const told = eventsOfSources()
  t.ok(told.size > 80, `${told.size} found`)
  const decided = decidedEvents()
  t.same([...told].filter(event => !decided.has(event)).sort(), [], 'add it to EVENTS of supervisor/log/journal.ts')
  t.same([...decided].filter(event => !told.has(event)).sort(), [], 'nobody tells it any more')
  const [, log = ''] = /^## The log\n(.*?)^## /ms.exec(configReference()) ?? []
  const documented = [
    ...log.matchAll(/`((?:worker|proxy|reload|run-folder|control-socket|site|not|restart)-[a-z-]+)[` ]/g),
  ]
  t.ok(documented.length > 10)
  t.same(
    documented.map(([, name]) => name!).filter(name => !decided.has(name) && optionNamed(name) === null),
    [],
    'documented',
  )
})

t.test('each line of a text', async t => {
  t.equal(withPriority('daimyo: one\n  two\n\nthree\n', 3), '<3>daimyo: one\n<3>  two\n\n<3>three\n')
  t.equal(withPriority('', 3), '')
})

t.test('journald finds no priority where it breaks a long line', async t => {
  const cases: [title: string, text: string, lines: number][] = [
    ['one byte a character', `${'x'.repeat(49_152 - 3)}<0>burning\n`, 4],
    ['three bytes a character', `${'\u20ac'.repeat(16_384)}<0>burning\n`, 2],
    ['a pair of surrogates', '\u{1f525}'.repeat(20_000), 3],
    ['just short enough', `${'x'.repeat(16_000)}\ny\n`, 2],
  ]
  for (const [title, text, lines] of cases) {
    const marked = withPriority(text, 4).split('\n').filter(Boolean)
    t.equal(marked.length, lines, title)
    t.ok(
      marked.every(line => line.startsWith('<4>') && Buffer.byteLength(line) < 49_152),
      title,
    )
    if (!text.includes('\ny'))
      t.ok(
        marked.slice(1).every(line => line.startsWith('<4>  ')),
        `${title}: the rest`,
      )
  }
  const written: string[] = []
  journalLog(line => written.push(line))('site-doubtful', { site: '\u0001'.repeat(4000), other: '\u0001'.repeat(4000) })
  t.ok(written.join('').length > 48_000)
  t.ok(
    written
      .join('')
      .trimEnd()
      .split('\n')
      .every(line => line.startsWith('<4>') && line.length < 48_000),
    'an event',
  )
})

const marked: [title: string, lines: string, expected: string][] = [
  ['a plain line', 'hello\n', '<6>hello\n'],
  ['several', 'a\nb\n', '<6>a\n<6>b\n'],
  ['an empty one', '\n', '<6>\n'],
  ['its own priority', '<4>careful\n', '<4>careful\n'],
  ['an error of its own', '<3>broken\n', '<3>broken\n'],
  ['debugging', '<7>x\n', '<7>x\n'],
  ['no emergency', '<0>the end is near\n', '<3>the end is near\n'],
  ['no alert, no critical one', '<1>x\n<2>x\n', '<3>x\n<3>x\n'],
  ['as journald reads it too', '<00>x\n<001>x\n', '<3>x\n<3>x\n'],
  ['what journald takes for text', '<9>x\n<30>x\n<0 >x\n<>x\n<p>x\n', '<6><9>x\n<6><30>x\n<6><0 >x\n<6><>x\n<6><p>x\n'],
  ['a second one is text', '<4><0>x\n', '<4><0>x\n'],
  ['one in the middle', 'x <0>y\n', '<6>x <0>y\n'],
  [
    'a stack behind an error',
    '<3>Error: x\n    at a\n\tat b\nnext\n',
    '<3>Error: x\n<3>    at a\n<3>\tat b\n<6>next\n',
  ],
  ['other bytes than text', 'gr\u00fc\u00df dich\n', '<6>gr\u00fc\u00df dich\n'],
]
for (const [title, lines, expected] of marked) {
  t.test(`a child's lines: ${title}`, async t => {
    t.equal(new LinePriorities(PRIORITY.info).mark(Buffer.from(lines), '').toString(), expected)
  })
}

t.test('a stack may come in pieces, and a name stands behind the priority', async t => {
  const lines = new LinePriorities(PRIORITY.warning)
  const mark = (text: string) => lines.mark(Buffer.from(text), '[job] ').toString()
  t.equal(mark('<3>Error\n'), '<3>[job] Error\n')
  t.equal(mark('    at x\n'), '<3>[job]     at x\n')
  t.equal(mark('done\n'), '<4>[job] done\n')
})

t.test('a line that journald would break has a priority at each break', async t => {
  const text = new LinePriorities(PRIORITY.info).mark(Buffer.from(`${'<0>'.repeat(40_000)}\n`), '').toString()
  const lines = text.trimEnd().split('\n')
  t.ok(lines.length >= 3)
  for (const line of lines) {
    t.ok(line.length < 48 * 1024, `${line.length}`)
    t.match(line, /^<[36]>/)
  }
})

t.test('for journald a line ends at NUL, too', async t => {
  const text = new LinePriorities(PRIORITY.info).mark(Buffer.from('x\0<0>emergency\0\0<1>y\n'), '').toString()
  t.equal(text, '<6>x\n<3>emergency\n<6>\n<3>y\n')
})
