/** Where a blocked loop is: every way to block it, and who is left alone. The question goes the whole way, from the proxy's side. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setInterval } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { printStack, type StackReport, watchdogPathOf } from '../../../../kit/link/stack-report.js'
import { requestStack } from '../../../../proxy/deaths/stack-request.js'
import { topFolder } from '../../../e2e/fixtures/watched-site.js'
import { measureLostTime } from '../../../kit/fixtures/lost-time.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

const entry = fileURLToPath(new URL('../fixtures/blocking-application.js', import.meta.url))
const applications = join(topFolder, 'test/applications')
const file = join(applications, 'blocks.cjs')

/** Of the watchdog's socket; with another one `start` waits in vain. */
const PRIVATE_MODE = 0o600

interface Blocking {
  child: ChildProcess
  linkPath: string
  /** Resolves when it is about to, with the promise that it has. */
  tell(way: string): Promise<{ done: Promise<unknown> }>
}

async function start(t: Test): Promise<Blocking> {
  const linkPath = join(scratchFolder(t), 'w.link')
  const child = fork(entry, [linkPath, applications])
  t.teardown(() => child.kill('SIGKILL'))
  // The thread listens, and has made the socket its own.
  const modeOf = () => statSync(watchdogPathOf(linkPath), { throwIfNoEntry: false })?.mode ?? 0
  for await (const _ of setInterval(10)) if ((modeOf() & 0o777) === PRIVATE_MODE) break
  return {
    child,
    linkPath,
    async tell(way) {
      child.send(way)
      await once(child, 'message')
      return { done: once(child, 'message') }
    },
  }
}

async function stackOf({ linkPath }: Blocking): Promise<StackReport> {
  const request = requestStack(linkPath)
  for await (const _ of setInterval(5)) if (request.report !== null) break
  return request.report as StackReport
}

/** Of one that is about to block itself: the first questions may come too early. */
async function printedStack(blocking: Blocking, wanted: RegExp) {
  for (let tries = 1; ; tries++) {
    const [startMs, lost] = [performance.now(), measureLostTime()]
    const printed = printStack(await stackOf(blocking))
    const tookMs = Math.round(performance.now() - startMs - lost.ms())
    lost.stop()
    if (tries === 5 || wanted.test(printed.stack)) return { printed, tookMs }
  }
}

t.test('the line of the loop', async t => {
  const cases: [way: string, at: RegExp, stack: RegExp][] = [
    ['turn', /blocks\.cjs:1[012]$/, /^turn \(.*blocks\.cjs:1[012]\) < .*blocking-application\.[jt]s:\d+\)/],
    ['turnLater', /blocks\.cjs:1[012]$/, /^turn \(.*\) < turnLater \(.*blocks\.cjs:17\)/],
    ['match', /blocks\.cjs:21$/, /^test \(built-in\) < match \(/],
    ['wait', /blocks\.cjs:25$/, /^wait \(built-in\) < wait \(/],
    ['sleep', /^-$/, /^none: a system call waits \(\w+\), which cannot be interrupted$/],
    ['derive', /^-$/, /^none: native code runs, which cannot be interrupted$/],
  ]
  for (const [way, at, stack] of cases) {
    const blocking = await start(t)
    await blocking.tell(way)
    const { printed, tookMs } = await printedStack(blocking, stack)
    t.match(printed, { at, stack }, way)
    if (!printed.stack.startsWith('none')) t.ok(printed.at.startsWith(file), `${way}: the whole path`)
    t.notMatch(printed.stack, /secret/)
    t.ok(tookMs < 750, `${way}: in ${tookMs} ms`)
    blocking.child.kill('SIGKILL')
  }
})

t.test('a false alarm: the loop goes on', async t => {
  const blocking = await start(t)
  const { done } = await blocking.tell('busy')
  const alarms = [stackOf(blocking), stackOf(blocking)]
  t.same(await done, ['done', undefined], 'it was let go on')
  for (const report of await Promise.all(alarms)) t.type(report.why, 'string')
  for (const _ of [1, 2]) {
    await (await blocking.tell('nothing')).done
    // One that has nothing to do has no stack.
    t.match(printStack(await stackOf(blocking)), { at: /^(-|node:.*)$/ })
  }
})

t.test('an application that uses the inspector is left alone', async t => {
  for (const use of ['session', 'port']) {
    const blocking = await start(t)
    await blocking.tell(use)
    await blocking.tell('turn')
    t.match(printStack(await stackOf(blocking)), { at: '-', stack: 'none: the application uses the inspector itself' })
    blocking.child.kill('SIGKILL')
  }
  const blocking = await start(t)
  for (const way of ['session', 'no-session', 'turn']) await blocking.tell(way)
  t.match((await printedStack(blocking, /^turn/)).printed, { stack: /^turn/ }, 'one that has done with it')
})

t.test('a worker without a watchdog', async t => {
  const request = requestStack(join(scratchFolder(t), 'w.link'))
  for await (const _ of setInterval(5)) if (request.report !== null) break
  t.match(printStack(request.report as StackReport), { stack: 'none: the watchdog cannot be asked: ENOENT' })
})
