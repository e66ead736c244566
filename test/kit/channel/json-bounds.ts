/** `kit/channel/json-bounds.ts`: what is within the bounds, and that what is not costs no parsing. */

import t from 'tap'
import { isWithin, parseWithin } from '../../../kit/channel/json-bounds.js'
import { LONGEST_CHILD_MESSAGE_BYTES, WORKER_MESSAGE_BOUNDS } from '../../../kit/channel/messages.js'

const small = { depth: 3, values: 8, members: 4, beginnings: 5, numerals: 2 }

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
  ['as many numerals', '["1","4294967295",200,1000000000]', true],
  ['one more numeral', '["1","22","333"]', false],
  ['numerals with escapes', '["\\u0031","\\u0032\\u0033","4\\u0034"]', false],
  ['numerals as keys', '{"1":1,"2":2,"3":3}', false],
  ['longer numbers, and zeros in front', '["12345678901","007","1x","-1","1.5",""]', true],
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

const beginnings: [title: string, text: string, expected: boolean][] = [
  ['as many', '[{"a":1,"b":2,"c":3},{"d":4,"e":5}]', true],
  ['one more', '[{"a":1,"b":2,"c":3},{"d":4,"e":5,"f":6}]', false],
  ['the same again', '[{"a":1,"b":2,"c":3},{"a":4,"b":5,"c":6}]', true],
  ['in another order', '[{"a":1,"b":2,"c":3},{"c":4,"b":5,"a":6}]', false],
  ['behind another key', '[{"a":1,"b":2,"c":3},{"d":4,"b":5,"c":6}]', false],
  ['two keys that look like one', '[{"ab":1},{"a":1,"b":2},{"ab":3,"c":1}]', true],
  ['behind an object', '[{"a":{"x":1},"b":2,"c":3},{"a":{"x":1},"b":2,"d":3}]', true],
]
for (const [title, text, expected] of beginnings) {
  t.test(`beginnings of objects: ${title}`, t => {
    t.equal(isWithin(Buffer.from(text), 0, text.length, { ...small, values: 20 }), expected, text)
    t.end()
  })
}

t.test('how many numerals there are is told, once, of a message that is taken', t => {
  const told: number[] = []
  const ask = (text: string) => isWithin(Buffer.from(text), 0, text.length, small, count => told.push(count))
  t.ok(ask('["a",1]'))
  t.ok(ask('{"a":"1","b":"\\u0032"}'))
  t.notOk(ask('["1","2","3"]'))
  t.same(told, [2])
  t.end()
})

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

const without = (labels: object, mask: number) =>
  Object.fromEntries(Object.entries(labels).filter((_, at) => at < 54 || ((mask >> (at - 54)) & 1) === 0))

/** What an application may have, and what none has; the second kind costs the parser up to a second. */
const messages: [title: string, text: string, expected: boolean][] = [
  ['10,000 series of one family', metrics([family(10_000, at => ({ ...labels(7, at => `l${at}`), path: at }))]), true],
  ['1000 families', metrics(Array.from({ length: 1000 }, () => family(0, () => ({})))), true],
  ['64 labels', metrics([family(1000, () => labels(64, at => `label_${at}`))]), true],
  [
    '64 labels, any 10 of them missing',
    metrics([
      family(2000, at =>
        without(
          labels(64, at => `l${at}`),
          at,
        ),
      ),
    ]),
    true,
  ],
  ['new orders of the same keys', metrics([family(1000, at => labels(90, l => `k${(l * (at + 1)) % 97}`))]), false],
  ['numerals that collide', metrics([family(60_000, at => ({ n: `${1e9 + at * 32768}` }))]).slice(0, 4e6), false],
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

t.test('a text within the bounds is parsed, another one is no JSON', async t => {
  const bounds = { depth: 2, values: 10, members: 3, beginnings: 10, numerals: 1 }
  t.same(parseWithin('{"a":["1","x"]}', bounds), { a: ['1', 'x'] })
  t.same(
    parseWithin('["x"]', bounds, (_name, value) => (value === 'x' ? 'y' : value)),
    ['y'],
  )
  for (const text of ['[[[1]]]', '["1","2"]', '[1,2,3,4,5,6,7,8,9,10,11]', '{', ''])
    t.throws(() => parseWithin(text, bounds), { name: 'SyntaxError' }, text)
})
