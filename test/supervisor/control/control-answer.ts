/**
 * Tests `supervisor/control/control-answer.ts`: an answer has its types to the leaves, or it is none, whatever the other side
 * sends.
 */

import t from 'tap'
import { readAnswer } from '../../../supervisor/control/control-answer.js'
import { topReport } from '../fixtures/top-report.js'

const top = topReport()
const good: [string, object][] = [
  ['progress', { type: 'progress', text: 'one of two' }],
  ['done', { type: 'done', ok: true }],
  ['a status', { type: 'done', ok: true, status: top.status }],
  ['a top', { type: 'done', ok: true, top }],
  ['a failure', { type: 'done', ok: false, reason: 'no', lines: ['at x'] }],
  ['a field of a later version', { type: 'done', ok: true, later: 1 }],
]
for (const [title, answer] of good) t.same(readAnswer(JSON.stringify(answer)), answer, title)

const bad: [string, string][] = [
  ['nothing', ''],
  ['no JSON', '220 mail ready'],
  ['another type', '{"type":"event"}'],
  ['done without ok', '{"type":"done"}'],
  ['ok that is a word', '{"type":"done","ok":"yes","reason":"","lines":[]}'],
  ['a failure without lines', '{"type":"done","ok":false,"reason":"x"}'],
  ['progress that is an object', '{"type":"progress","text":{}}'],
  ['too deep', '['.repeat(100_000)],
  [
    'an endless figure',
    JSON.stringify({ type: 'done', ok: true, top: { ...top, queued: 0 } }).replace('"queued":0', '"queued":1e999'),
  ],
]
for (const [title, line] of bad) t.equal(readAnswer(line), null, title)

t.test('a text that is too long makes it no answer', async t => {
  const status = (change: object) => JSON.stringify({ type: 'done', ok: true, status: { ...top.status, ...change } })
  const worker = (change: object) => status({ workers: [{ ...top.status.workers[0], ...change }] })
  const cases: [title: string, line: (text: string) => string, longest: number][] = [
    ['a phase', phase => worker({ phase }), 200],
    ['a reason', why => worker({ why }), 9192],
    ['an INI', iniPath => status({ iniPath: `/${iniPath.slice(1)}` }), 9192],
    ['a URL', url => status({ urls: [url] }), 9192],
  ]
  for (const [title, line, longest] of cases) {
    t.not(readAnswer(line('x'.repeat(longest))), null, title)
    t.equal(readAnswer(line('x'.repeat(longest + 1))), null, title)
  }
  t.not(readAnswer(JSON.stringify({ type: 'progress', text: 'x'.repeat(30_000) })), null, 'but a line of its own')
})

/** All paths to leaves and branches of a value. */
function pathsOf(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [path]
  const below = Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, [...path, name]))
  return path.length === 0 ? below : [path, ...below]
}

function withLeaf(value: unknown, [name, ...rest]: (string | number)[], leaf: unknown): unknown {
  if (name === undefined) return leaf
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) }
  Reflect.set(copy, name, withLeaf(Reflect.get(copy, name), rest, leaf))
  return copy
}

t.test('a wrong type at any place of a report makes it no answer', async t => {
  const paths = pathsOf(top)
  t.ok(paths.length > 40, `${paths.length} places`)
  for (const path of paths) {
    for (const leaf of [{ length: 1 }, undefined]) {
      // An event or a path that is missing from its list is null in JSON.
      const line = JSON.stringify({ type: 'done', ok: true, top: withLeaf(top, path, leaf) })
      t.equal(readAnswer(line), null, `${path.join('.')} = ${JSON.stringify(leaf)}`)
    }
  }
})

t.test('no string of it moves a cursor or passes for a line of ours', async t => {
  const evil = '\u001b]0;x\u0007ok\nreloaded\u202e'
  t.same(readAnswer(JSON.stringify({ type: 'progress', text: evil })), {
    type: 'progress',
    text: ' ]0;x ok\n  reloaded',
  })
  const read = readAnswer(JSON.stringify({ type: 'done', ok: true, top: topReport({ events: [evil] }) }))
  t.notMatch(JSON.stringify(read), /\\u001b|\\u0007|\\nreloaded/)
})
