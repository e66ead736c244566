/**
 * Loads one application as a worker does, and says what came of it: `node load.mjs <compiled app/host> <socket> <application> [words]`.
 * Started by the tests of `app/host/`, whose IPC channel stands in for a worker's line to its master: `{ listening: address }` or `{ failed: {…} }`.
 */
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const [, , host, socketPath, application] = process.argv
const portMs = Number(process.env.PORT_MS ?? 0)
const { takeOverListen } = await importHost('listen/take-over.js')
const { loadApplication } = await importHost('application/load-application.js')

// Counts for the event loop, as in a worker: without care it would keep a useless application alive for ever.
process.on('message', () => {})
try {
  const server = await loadApplication(
    { path: application, args: process.argv.slice(5) },
    takeOverListen(socketPath, { portMs }),
    process.channel,
  )
  process.send({ listening: server.address() })
} catch (error) {
  const { name, code, message, stack } = error
  process.send({ failed: { name, code, message, stack } }, () => process.exit(1))
}

function importHost(name) {
  return import(pathToFileURL(join(resolve(host), name)).href)
}
