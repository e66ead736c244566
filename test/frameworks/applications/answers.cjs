/**
 * What every application here answers and notes, so that they differ in how they stop only: `/fast`, `/slow` after SLOW_MS, and `/events`, an event stream
 * that does not end by itself. NOTES is the file for what a test wants to know, a line each: what, and the process.
 */
const { appendFileSync } = require('node:fs')

const SLOW_MS = Number(process.env.SLOW_MS ?? 2000)
/** What closing a database may take. */
const CLEAN_UP_MS = 200
const EVENT_EVERY_MS = 250

const streams = new Set()

const note = what => appendFileSync(process.env.NOTES, `${what} ${process.pid}\n`)

function openStream(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  const write = () => response.write('data: tick\n\n')
  write()
  const timer = setInterval(write, EVENT_EVERY_MS)
  streams.add(response)
  response.on('close', () => {
    clearInterval(timer)
    streams.delete(response)
  })
}

/** The same as a web stream, for frameworks that answer with a Response. */
function eventStream() {
  const encoder = new TextEncoder()
  let timer
  const self = { end: () => {} }
  const forget = () => {
    clearInterval(timer)
    streams.delete(self)
  }
  return new ReadableStream({
    start(controller) {
      const write = () => controller.enqueue(encoder.encode('data: tick\n\n'))
      write()
      timer = setInterval(write, EVENT_EVERY_MS)
      streams.add(self)
      self.end = last => {
        forget()
        controller.enqueue(encoder.encode(last))
        controller.close()
      }
    },
    cancel: forget,
  })
}

/** Calls back when a slow answer is due. */
function afterAWhile(done) {
  note('slow')
  setTimeout(done, SLOW_MS)
}

function answer(request, response) {
  if (request.url === '/slow') return afterAWhile(() => response.end('slow'))
  if (request.url === '/events') return openStream(response)
  response.end('fast')
}

function endStreams() {
  for (const response of streams) response.end('data: last\n\n')
}

/** The application's own work at its end. */
async function cleanUp() {
  note('told')
  await new Promise(resolve => {
    setTimeout(() => resolve(), CLEAN_UP_MS)
  })
  note('done')
}

/** What applications without a library do: end what has no end, close, clean up, and leave the rest to Node. */
function closeAtSigterm(server) {
  process.on('SIGTERM', () => {
    endStreams()
    server.close(error => {
      if (error) throw error
      cleanUp()
    })
  })
}

module.exports = { afterAWhile, answer, cleanUp, closeAtSigterm, endStreams, eventStream, note, openStream }
