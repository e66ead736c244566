/**
 * Runs several files of the tests in this process, one after the other, each as a subtest of its name. `suite.mjs` starts it with files that need no
 * process of their own: to start Node and load tap takes 0.2 s of CPU, more than most of them.
 *
 * A file begins when nothing of the one before keeps the process alive: it finds an idle event loop. A file that leaves something open holds up the
 * rest, as it would hold up a process of its own, and the last line printed says whose it is.
 */

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

// Taken out before tap is loaded: it names the folders of `testdir` after all arguments.
const [folder, ...files] = process.argv.splice(2)
// What the files import: `bundle-tap.mjs`.
const { default: tap } = await import('../node_modules/.daimyo/node_modules/@tapjs/bundle/index.mjs')
// Not earlier: nobody reads a trace of tap's own modules, and their source maps take a fifth of the time to load them.
process.setSourceMapsEnabled(true)

/** What a file may call on tap itself: it acts on the file's own subtest. The rest is what tap calls on itself. */
const PASSED_ON = (
  'test before beforeEach afterEach teardown testdir ok notOk equal not same notSame strictSame strictNotSame has notHas ' +
  'match notMatch type throws doesNotThrow rejects resolves resolveMatch emits'
).split(' ')

const addTest = tap.test
/** The subtest of the file that runs; null between two files. */
let current = null
for (const name of PASSED_ON) Object.defineProperty(tap, name, { value: (...args) => current[name](...args) })

function startNext() {
  const path = files.shift()
  if (path === undefined) {
    tap.end()
    return
  }
  const done = addTest(path, t => {
    current = t
    return import(pathToFileURL(resolve(folder, path)).href)
  })
  done.then(() => {
    current = null
  })
}

startNext()
// Tap's own listener ends all tests as soon as the event loop is empty. A file that waits for nothing more and is not done is failed by tap at the exit.
process.removeAllListeners('beforeExit')
process.on('beforeExit', () => {
  if (current === null && tap.results === undefined) startNext()
})
