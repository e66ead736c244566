/**
 * The program of the cluster stack: `node cluster-server.js APP WORKERS`. Started by `cluster.ts`, ended by SIGTERM,
 * which it passes on to its workers. The application listens on PORT in each worker; this process accepts the
 * connections and hands them to the workers in turn. It ends with 1 when a worker ends unasked.
 */

import cluster from 'node:cluster'

const [app = '', count] = process.argv.slice(2)
let stopping = false

process.on('SIGTERM', () => {
  stopping = true
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM')
})
cluster.on('exit', (_, code, signal) => {
  if (stopping) return
  console.error(`a worker ended with ${signal ?? code}`)
  process.exit(1)
})
cluster.setupPrimary({ exec: app, args: [] })
for (let number = 1; number <= Number(count); number++) cluster.fork()
