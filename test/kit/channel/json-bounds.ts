/** `kit/channel/json-bounds.ts`: what is within the bounds, and that what is not costs no parsing. */

import t from 'tap'
import { isWithin } from '../../../kit/channel/json-bounds.js'
import { LONGEST_CHILD_MESSAGE_BYTES, WORKER_MESSAGE_BOUNDS } from '../../../kit/channel/messages.js'

const small = { depth: 3, values: 8, members: 4, keys: 5 }

t.test('few keys need no cryptography, which takes long to load', t => {
  const { getBuiltinModule } = process
  t.teardown(() => Object.assign(process, { getBuiltinModule }))
  const asked: string[] = []
  Object.assign(process, { getBuiltinModule: (id: string) => asked.push(id) && getBuiltinModule(id) })
  const take = (text: string) => isWithin(Buffer.from(text), 0, text.length, { ...small, values: 20 })
  t.equal(take('[{"a":1,"b":2},{"d":4,"e":5}]'), true)
  t.same(asked, [])
  t.equal(take('[{"a":1,"b":2,"c":3},{"d":4,"e":5,"f":6}]'), false)
  t.same(asked, ['node:crypto'])
  t.end()
})

const cases: [title: string, text: string, expected: boolean][] = [
  ['as deep as may be', '[[[1]]]', true],
  ['a level more', '[[[[]]]]', false],
  ['one beside the other', '[[],{},[{}]]', true],
  ['as many values', '[1,2,3,4,5,6,7]', true],
  ['one more', '[1,2,3,4,5,6,7,8,9]', false],
  ['many that are empty', '[{},{},{},{},{},{},{},{}]', false],
  ['as many members', '{"a":1,"b":2,"c":3,"d":4}', true],
  ['one more member', '{"a":1,"b":2,"c":3,"d":4,"e":5}', false],
  ['as many keys', '[{"a":1,"b":2,"c":3},{"d":4,"e":5}]', true],
  ['one more key', '[{"a":1,"b":2,"c":3},{"d":4,"e":5,"f":6}]', false],
  ['the same keys again', '[{"a":1,"b":2},{"a":3,"b":4}]', true],
  ['a list in an object has its own', '{"a":[1,2,3,4,5]}', true],
  ['structure in a text', '["[[[[[[,,,,,,,,,,,,,{{{{{"]', true],
  ['behind an escaped quote', '["\\"[[[[[[,,,,,,,,,,,,,"]', true],
  ['behind an escaped backslash', '["\\\\",[[[1]]]]', false],
  ['no JSON, but within the bounds', ']]}}"', true],
]
for (const [title, text, expected] of cases) {
  t.test(title, t => {
    const bytes = Buffer.from(`x${text}x`)
    t.equal(isWithin(bytes, 1, bytes.length - 1, small), expected, text)
    t.end()
  })
}

const metrics = (families: unknown) => JSON.stringify({ type: 'metrics', families })
const family = (samples: number, labelsOf: (at: number) => object) => ({
  name: 'requests',
  help: 'Requests',
  type: 'gauge',
  aggregator: 'sum',
  values: Array.from({ length: samples }, (_, at) => ({ labels: labelsOf(at), value: at })),
})
const labels = (count: number, name: (at: number) => string) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [name(at), 'x']))

/** What an application may have, and what none has; the second kind costs the parser up to a second. */
const messages: [title: string, text: string, expected: boolean][] = [
  ['10,000 series of one family', metrics([family(10_000, at => ({ ...labels(7, at => `l${at}`), path: at }))]), true],
  ['1000 families', metrics(Array.from({ length: 1000 }, () => family(0, () => ({})))), true],
  ['64 labels', metrics([family(1000, () => labels(64, at => `label_${at}`))]), true],
  ['a long text', metrics([family(800, at => ({ text: `${at}`.padEnd(3900, '[') }))]), true],
  ['lists in lists', `{"type":"metrics","families":[{"name":"q","x":${'['.repeat(1e6)}${']'.repeat(1e6)}}]}`, false],
  ['a field that we do not know', metrics([{ name: 'q', x: Array(1e6).fill(0) }]), false],
  ['an object with many keys', metrics([family(1, () => labels(100_000, at => `${at * 7919}`))]), false],
  ['many labels', metrics([family(4000, () => labels(63, at => `l${at}`))]), false],
  ['keys that are all new', metrics([family(10_000, at => labels(7, label => `k${at * 7 + label}`))]), false],
]
for (const [title, text, expected] of messages) {
  t.test(`a message of a worker: ${title}`, t => {
    const bytes = Buffer.from(text)
    t.ok(bytes.length < LONGEST_CHILD_MESSAGE_BYTES, `${bytes.length} bytes`)
    t.equal(isWithin(bytes, 0, bytes.length, WORKER_MESSAGE_BOUNDS), expected)
    t.end()
  })
}
