/**
 * Counts garbage collection in a proxy of daimyo, from outside of the product: NODE_OPTIONS of the master preloads this
 * file into every process, and it does something in the main thread of a proxy only. There it gives its totals to
 * whoever connects to `gc-PID.sock` in the folder BENCH_GC_FOLDER: JSON, `GcTotals` of `bench/gc.ts`.
 *
 * It must run before anything else: the threads that exist then are the main thread and those of V8 and the inspector,
 * which wait. Threads of libuv and workers come later, so that they are not counted.
 */

const { readdirSync, readFileSync } = require('node:fs') as typeof import('node:fs')
const { createServer } = require('node:net') as typeof import('node:net')
const { join } = require('node:path') as typeof import('node:path')
const { PerformanceObserver } = require('node:perf_hooks') as typeof import('node:perf_hooks')
const { isMainThread } = require('node:worker_threads') as typeof import('node:worker_threads')

const folder = process.env.BENCH_GC_FOLDER
if (isMainThread && folder !== undefined && /[\\/]proxy[\\/]main\.js$/.test(process.argv[1] ?? '')) observe(folder)

function observe(socketFolder: string): void {
  const helpers = readdirSync('/proc/self/task').filter(id => Number(id) !== process.pid)
  let pauseMicroseconds = 0
  const count = (entries: readonly { duration: number }[]): void => {
    for (const { duration } of entries) pauseMicroseconds += duration * 1000
  }
  const observer = new PerformanceObserver(list => count(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  createServer(socket => {
    // A reader that leaves at once is none of the proxy's business.
    socket.on('error', () => {})
    count(observer.takeRecords())
    const { user, system } = process.cpuUsage()
    const helperMicroseconds = helpers.reduce((sum, id) => sum + cpuOf(id), 0)
    socket.end(JSON.stringify({ pauseMicroseconds, helperMicroseconds, cpuMicroseconds: user + system }))
  })
    .listen(join(socketFolder, `gc-${process.pid}.sock`))
    .unref()
}

/** CPU time of a thread: the first number, in nanoseconds (Documentation/scheduler/sched-stats.rst of Linux). */
function cpuOf(id: string): number {
  return Number(readFileSync(`/proc/self/task/${id}/schedstat`, 'utf8').split(' ', 1)[0]) / 1000
}
