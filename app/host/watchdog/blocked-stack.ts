/**
 * Takes the JavaScript stack of the main thread's blocked loop, from the watchdog's thread (`watchdog-thread.ts`), by
 * V8's inspector: no port is opened, and nothing is attached until a proxy asks. V8 takes the question at the next
 * interrupt check: at every turn of a loop, in the middle of a regular expression, in `Atomics.wait`. Native code and
 * system calls have no such check; then the report says what state the thread is in.
 *
 * The question is an expression, whose own stack has that of the loop below it. The answer comes in 2 to 25 ms;
 * `Debugger.pause` took 40 to 170, hands over every script first, and would leave a loop standing if this thread died.
 * What must stay true: the loop goes on, because the alarm may have been a false one.
 */

import { readFileSync } from 'node:fs'
import type { Runtime, Session } from 'node:inspector'
import { clearTimeout, setTimeout } from 'node:timers'
import { fileURLToPath } from 'node:url'
import { codeOf } from '../../../kit/ground/failure.js'
import { builtFile } from '../../../kit/ground/places.js'
import { BUILT_IN, noStack, type StackReport } from '../../../kit/link/stack-report.js'
import { inspectorOfNode } from '../../../kit/process/uninvited-inspector.js'
import { type AnsweredStack, stackQuestion } from './stack-question.js'

/** How long the loop may take to answer; the proxy waits a little longer. */
const MOST_MS = 600

const IN_USE = noStack('the application uses the inspector itself')

/** Calls of daimyo's own, and of Node's behind them, are where a request comes from. */
const HOST_FOLDER = builtFile('app/host/')

/**
 * Resolves with the stack, or with the reason why there is none, within MOST_MS; `isInUse`: the application has a
 * session of its own.
 */
export async function takeStack(isInUse: boolean): Promise<StackReport> {
  if (isInUse) return IN_USE
  const inspector = inspectorOfNode()
  if (inspector === null) return noStack('this Node has no inspector')
  const session = new inspector.Session()
  session.connectToMainThread()
  const report = await ask(session)
  session.disconnect()
  return report
}

function ask(session: Session): Promise<StackReport> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(noStack(whatItIsAt())), MOST_MS)
    const question = { expression: stackQuestion, silent: true, returnByValue: true }
    session.post('Runtime.evaluate', question, (error, answer: Partial<Runtime.EvaluateReturnType>) => {
      clearTimeout(timer)
      resolve(reportOf(error === null ? (answer.result?.value as AnsweredStack | undefined) : undefined))
    })
  })
}

/** `undefined`: the application has made its `Error` or `process` useless. */
function reportOf(answer: AnsweredStack | undefined): StackReport {
  if (answer === undefined) return noStack('the question failed')
  if (answer === 'in-use') return IN_USE
  const frames = answer.map(({ name, file, line }) => ({
    name: name || '(anonymous)',
    place: file === '' ? BUILT_IN : `${pathOf(file)}:${line}`,
  }))
  const end = frames.findIndex(({ place }) => place.startsWith(HOST_FOLDER))
  const own = end < 0 ? frames : frames.slice(0, end)
  return own.length > 0 ? { frames: own, why: '' } : noStack('the loop is in no code of the application')
}

/** Without query and fragment, and nothing of a `data:` URL: they may hold anything. */
function pathOf(url: string): string {
  if (url.startsWith('data:')) return 'data:'
  if (!url.startsWith('file:')) return url
  try {
    return fileURLToPath(url)
  } catch (error) {
    if (error instanceof TypeError || error instanceof URIError) return 'file:'
    throw error
  }
}

/** Which uninterruptible work it is, as the kernel sees the main thread: proc(5), `state` in /proc/PID/stat. */
function whatItIsAt(): string {
  const task = `/proc/self/task/${process.pid}`
  const [state] = readOrNothing(`${task}/stat`).split(') ').at(-1) ?? ''
  if (state === 'R') return 'native code runs, which cannot be interrupted'
  if (state !== 'S' && state !== 'D') return 'native code or a system call, which cannot be interrupted'
  const where = readOrNothing(`${task}/wchan`)
  return `a system call waits${/^\w+$/.test(where) && where !== '0' ? ` (${where})` : ''}, which cannot be interrupted`
}

/** Empty if there is no such /proc. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EPERM', 'ESRCH'].includes(codeOf(error))) return ''
    throw error
  }
}
