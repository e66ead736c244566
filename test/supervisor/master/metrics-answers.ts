/** The page of metrics for proxies: `supervisor/master/metrics-answers.ts`. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { MetricsAnswers } from '../../../supervisor/master/metrics-answers.js'

interface Asker {
  got: [requestId: number, text: string][]
  /** The kernel has the oldest answer that waits. */
  read(): void
  send(message: { requestId: number; text: string }, sent: () => void): void
}

function newAsker(): Asker {
  const waiting: (() => void)[] = []
  const got: Asker['got'] = []
  return {
    got,
    read: () => waiting.shift()?.(),
    send: ({ requestId, text }, sent) => {
      got.push([requestId, text])
      waiting.push(sent)
    },
  }
}

async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await nextTurn()
}

const noFailure = (error: unknown) => t.fail(String(error))

t.test('one answer is under way, then one to the last question', async t => {
  const answers = new MetricsAnswers(() => 'page', noFailure)
  const asker = newAsker()
  answers.ask(asker, 1)
  await manyTurns()
  for (let id = 2; id <= 50; id++) answers.ask(asker, id)
  await manyTurns()
  t.same(asker.got, [[1, 'page']])
  asker.read()
  await manyTurns()
  t.same(asker.got, [
    [1, 'page'],
    [50, 'page'],
  ])
  asker.read()
  await manyTurns()
  answers.ask(asker, 50)
  await manyTurns()
  t.equal(asker.got.length, 3, 'whoever has its answer may ask again')
})

t.test('questions that come while the page is made are one', async t => {
  let make = (_: string) => {}
  let made = 0
  const render = () => {
    made++
    return new Promise<string>(resolve => {
      make = resolve
    })
  }
  const answers = new MetricsAnswers(render, noFailure)
  const asker = newAsker()
  for (let id = 1; id <= 50; id++) answers.ask(asker, id)
  make('late')
  await manyTurns()
  t.same(asker.got, [[50, 'late']])
  t.equal(made, 1)
})

t.test('several have one answer each, in turns of their own; one that does not read keeps none waiting', async t => {
  const answers = new MetricsAnswers(() => 'page', noFailure)
  let turn = 0
  const turns: number[] = []
  const askers = Array.from({ length: 5 }, newAsker)
  for (const asker of askers) {
    const { send } = asker
    asker.send = (message, sent) => {
      turns.push(turn)
      send(message, sent)
    }
  }
  for (const asker of askers) answers.ask(asker, 1)
  for (; turn < 20; turn++) await nextTurn()
  t.equal(new Set(turns).size, 5)
  for (const asker of askers.slice(1)) {
    asker.read()
    answers.ask(asker, 2)
  }
  answers.ask(askers[0]!, 2)
  await manyTurns()
  t.same(
    askers.map(({ got }) => got.length),
    [1, 2, 2, 2, 2],
  )
})

t.test('a page that cannot be made is told, and the next is asked for', async t => {
  const failures: unknown[] = []
  let isBroken = true
  const render = () => {
    if (isBroken) throw new Error('no page')
    return 'page'
  }
  const answers = new MetricsAnswers(render, error => failures.push(error))
  const asker = newAsker()
  answers.ask(asker, 1)
  await manyTurns()
  t.match(asker.got, [[1, /cannot be rendered/]])
  t.match(failures, [{ message: 'no page' }])
  isBroken = false
  asker.read()
  await manyTurns()
  answers.ask(asker, 2)
  await manyTurns()
  t.same(asker.got[1], [2, 'page'])
})
