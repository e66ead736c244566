/**
 * The first lines of every worker and proxy: the master puts this file before all other preloads (`node --require`), so
 * that it runs before those of `node-args`, which may take long. It is CommonJS, because nothing else can come first in
 * each version of Node.
 *
 * 1. The master's signals do nothing: neither end the process nor open Node's inspector, to which any local user could
 *    connect (SIGUSR1). The application must not notice it: `process.listenerCount` says 0, whatever it listens for
 *    reaches it as on bare Node, and when it has taken its last listener away the default does not come back. So there
 *    are no listeners, but handles of libuv beside those that Node makes for listeners. No public name leads to their
 *    class; the async hook of one that Node makes does.
 * 2. An application that sends such a signal to itself, as shutdown libraries do in the end, means the default: it gets
 *    it.
 * 3. The last argument is the name that `ps` shows. A program that is started through another one cannot be given
 *    argv[0].
 * 4. Until the channel is open (`channel.ts`), nobody in this process would see that the master has died, and what
 *    comes before may wait for ever, such as a `--import`. So twice a second it is looked whether the parent is still
 *    the same; an orphan ends at once, with what its preloads have started, as it would behind the channel. Where other
 *    preloads follow, which may block the loop, a thread looks.
 * 5. No trace is left: an application sees the `process.argv`, `process.execArgv` and `require.cache` that it would see
 *    without this file, and what it forks inherits none of it.
 */

const { createHook } = require('node:async_hooks') as typeof import('node:async_hooks')
const { constants } = require('node:os') as typeof import('node:os')

/** `SignalWrap` in src/signal_wrap.cc of Node 20 to 26. */
interface SignalHandle {
  onsignal: () => void
  start(signal: number): number
  unref(): void
  close(): void
}
type SignalHandleClass = new () => SignalHandle

const MASTERS_SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGUSR1',
  'SIGUSR2',
] as const

/** The class of the handle that Node makes for the first listener of a signal. */
function findHandleClass(): SignalHandleClass | null {
  let made: object | null = null
  const init = (_id: number, type: string, _trigger: number, resource: object) => {
    if (type === 'SIGNALWRAP') made = resource
  }
  const hook = createHook({ init }).enable()
  const listener = () => {}
  process.on('SIGWINCH', listener)
  hook.disable()
  process.off('SIGWINCH', listener)
  return made === null ? null : ((made as object).constructor as SignalHandleClass)
}

function holdSignals(Handle: SignalHandleClass): Map<number, SignalHandle> {
  const held = new Map<number, SignalHandle>()
  for (const name of MASTERS_SIGNALS) {
    const handle = new Handle()
    handle.unref()
    handle.onsignal = () => {}
    handle.start(constants.signals[name])
    held.set(constants.signals[name], handle)
  }
  return held
}

/** SIGUSR1 stays held: its default is the inspector. */
function letOwnSignalsPass(held: Map<number, SignalHandle>): void {
  const original = process.kill
  process.kill = function kill(pid, signal) {
    const number = typeof signal === 'number' ? signal : constants.signals[(signal ?? 'SIGTERM') as NodeJS.Signals]
    const isOwn = [0, process.pid, -process.pid].includes(Number(pid))
    const name = MASTERS_SIGNALS.find(name => constants.signals[name] === number)
    if (isOwn && name !== undefined && name !== 'SIGUSR1' && process.listenerCount(name) === 0) {
      held.get(number)?.close()
      held.delete(number)
    }
    return original(pid, signal)
  }
}

const ORPHAN_LOOK_MS = 500

/** Options of Node that run code before the entry file. */
const PRELOADS = /(^|\s)(-r|--require|--import|--loader|--experimental-loader)\b/

/** Preloads behind this file, and those of the environment. */
function hasOtherPreloads(): boolean {
  const others = process.execArgv.slice(process.execArgv.indexOf(__filename) + 1)
  return others.some(word => PRELOADS.test(word)) || PRELOADS.test(process.env.NODE_OPTIONS ?? '')
}

/** Compares the parent with the earlier one, also in a thread, and ends this process if it has changed. */
function look(parent: number, kill: typeof process.kill): void {
  if (process.ppid === parent) return
  try {
    kill(-process.pid, 'SIGKILL')
  } catch {
    // ESRCH: it leads no group.
    kill(process.pid, 'SIGKILL')
  }
}

/** The thread gets none of the preloads. Returns a function that ends it. */
function lookInThread(parent: number): () => void {
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  const source = `setInterval(${look}, ${ORPHAN_LOOK_MS}, ${parent}, process.kill)`
  const thread = new Worker(source, { eval: true, execArgv: [], env: {} })
  thread.unref()
  // No thread can be started: the timer of the loop is the only watch.
  thread.on('error', () => {})
  return () => void thread.terminate()
}

/** The channel, once it is open, calls this off. */
function endAsOrphan(): void {
  const parent = process.ppid
  const timer = setInterval(look, ORPHAN_LOOK_MS, parent, process.kill).unref()
  const endThread = hasOtherPreloads() ? lookInThread(parent) : () => {}
  const value = () => {
    clearInterval(timer)
    endThread()
  }
  Object.defineProperty(process, Symbol.for('daimyo.orphan-watch'), { value, configurable: true })
}

// A thread of the application's runs the preloads again, and can do nothing about signals. `isMainThread` of
// node:worker_threads would say the same and cost every process 5 to 10 ms to load; source:
// lib/internal/process/worker_thread_only.js of Node 20 to 26.
const isMainThread = !(process.chdir as unknown as { disabled?: boolean }).disabled
if (isMainThread) {
  endAsOrphan()
  const Handle = findHandleClass()
  if (Handle !== null) letOwnSignalsPass(holdSignals(Handle))
  process.title = process.argv.pop() ?? ''
}
process.execArgv.splice(0, process.execArgv.indexOf(__filename) + 1)
delete require.cache[__filename]
