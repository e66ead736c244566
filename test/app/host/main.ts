/** Whatever an application does to the process that it shares with the worker, the worker starts, ends, and says why it cannot. */

import t from 'tap'
import { liveOf } from './fixtures/told-worker.js'

const serves = `
process.once('SIGTERM', () => process.stdout.write('told', () => process.exit(0)))
require('node:http').createServer((request, response) => response.end('rice')).listen(3000)
`
const hooks = (resolve: string) =>
  `require('node:module').register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(resolve)}))`

const lives: [title: string, before: string][] = [
  ['module hooks that refuse what they do not know', hooks(`export function resolve(name) { throw new Error(name) }`)],
  [
    'module hooks that find nothing',
    hooks(`export function load() { return { format: 'module', source: '' , shortCircuit: true } }`),
  ],
  ['module hooks that never answer', hooks('export function resolve() { return new Promise(() => {}) }')],
  [
    'no descriptor left when it is ready',
    `
const { existsSync, openSync, statSync } = require('node:fs')
const isOpen = path => existsSync(path) && (statSync(path).mode & 0o777) === 0o600
const look = () => {
  if (!process.argv.slice(2).every(isOpen)) return setImmediate(look)
  try { for (;;) openSync('/dev/null') } catch {}
}
look()`,
  ],
  [
    'timers that are numbers',
    `
for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
  const original = globalThis[name]
  globalThis[name] = (...args) => Number(original(...args)[Symbol.toPrimitive]?.() ?? 1)
}`,
  ],
  [
    'no timers at all',
    `
for (const name of ['Timeout', 'Interval', 'Immediate']) {
  delete globalThis['set' + name]
  delete globalThis['clear' + name]
}`,
  ],
]
for (const [title, before] of lives) {
  t.test(`an application with ${title} starts, and is told that it ends`, async t => {
    const { code, told, printed } = await liveOf(t, `${before}\n${serves}`)
    t.match([...told.keys()], ['ready'], 'nothing else is said')
    t.match({ code, printed }, { code: 0, printed: 'told' })
  })
}

const thrown: [title: string, app: string, reason: RegExp][] = [
  ['an Error with a number as its stack', `throw Object.assign(new Error('no rice'), { stack: 5 })`, /^no rice$/],
  ['an object without a prototype', `throw Object.assign(Object.create(null), { rice: 'none' })`, /rice: 'none'/],
  ['a Proxy that throws', `throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 1 } })`, /^./],
]
for (const [title, app, reason] of thrown) {
  t.test(`an application that throws ${title} at load is told of`, async t => {
    const { code, told } = await liveOf(t, app)
    t.match(told.get('failed'), { type: 'failed', reason, stack: /^./ })
    t.notMatch(JSON.stringify(told.get('failed')), /reasonOf|stackOf|master-channel/, 'without a stack of ours')
    t.equal(code, 1)
  })
}
