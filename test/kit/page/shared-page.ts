/** How many makings a crowd costs, and how old a page may be. */

import t from 'tap'
import { SharedPage } from '../../../kit/page/shared-page.js'

function pageThatTakes(ms: number) {
  const state = { nowMs: 0, made: 0, fails: false }
  const page = new SharedPage(
    async () => {
      state.made += 1
      state.nowMs += ms
      if (state.fails) throw new Error('no luck')
      return Buffer.from(String(state.made))
    },
    () => state.nowMs,
  )
  return { state, page }
}

t.test('all who ask at once share one making and one buffer', async t => {
  const { state, page } = pageThatTakes(10)
  const pages = await Promise.all(Array.from({ length: 50 }, () => page.get()))
  t.equal(state.made, 1)
  t.ok(pages.every(one => one === pages[0]))
})

const kept: [title: string, tookMs: number, keptMs: number][] = [
  ['a quick one is made anew soon', 2, 8],
  ['a slow one is kept longer', 300, 1200],
  ['but not for ever', 60_000, 5000],
]

for (const [title, tookMs, keptMs] of kept) {
  t.test(title, async t => {
    const { state, page } = pageThatTakes(tookMs)
    await page.get()
    state.nowMs += keptMs - 1
    t.equal(String(await page.get()), '1')
    state.nowMs += 1
    t.equal(String(await page.get()), '2')
  })
}

t.test('a failure is told to all who wait, and not kept', async t => {
  const { state, page } = pageThatTakes(10)
  state.fails = true
  for (const one of await Promise.allSettled([page.get(), page.get()])) t.equal(one.status, 'rejected')
  state.fails = false
  t.equal(String(await page.get()), '2')
})
