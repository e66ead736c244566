/** Server-sent events reach the client as they are written: nothing between it and the application waits for more. */

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { ask, open } from './fixtures/asking.js'
import { farmLines, until, WatchedSite } from './fixtures/watched-site.js'

/** Writes an event when it is told to by another request: so the one before must have arrived for the next to be asked for. */
const app = `
const open = new Set()
require('node:http').createServer((request, response) => {
  if (request.url === '/open') return response.end(String(open.size))
  if (request.url.startsWith('/say/')) {
    for (const stream of open) stream.write('data: ' + request.url.slice(5) + '\\n\\n')
    return response.end('said')
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  open.add(response)
  response.on('close', () => open.delete(response))
}).listen(3000)
`

t.test('each event is there before the next is written', async t => {
  const site = new WatchedSite(t, ['processes = 1'], { app })
  const running = await site.serve()
  const stream = await open(running.url, '/events')
  t.match(stream.headers, { 'content-type': 'text/event-stream' }, 'the head comes without a body')
  for (const word of ['seed', 'sprout', 'ear']) {
    const arrives = nextChunk(stream)
    await ask(running.url, `/say/${word}`)
    t.equal(await arrives, `data: ${word}\n\n`)
  }
  t.equal((await ask(running.url, '/open')).body, '1')
  stream.destroy()
  await until(
    'the application learns that the client has left',
    async () => (await ask(running.url, '/open')).body === '0',
  )
  t.match(await site.end(running), { code: 0 })
})

t.test('the bundled application ticks, and a stop does not wait for ever', async t => {
  const site = new WatchedSite(t, [...farmLines, 'reload-mercy = 1', 'worker-reload-mercy = 1'])
  const running = await site.serve()
  const stream = await open(running.url, '/api/v1/events?ms=20')
  stream.setEncoding('utf8')
  let text = ''
  stream.on('data', (chunk: string) => {
    text += chunk
  })
  await until('three ticks', () => /id: 3\n/.test(text))
  t.match(text, /^retry: 1000\n\nid: 1\nevent: tick\ndata: .*\n\nid: 2\n/)
  stream.on('error', () => {}) // ECONNRESET: cut off at the end of the mercy
  const gone = new Promise(resolve => stream.on('close', resolve))
  t.match(await site.end(running), { code: 0 })
  await gone
  t.notOk(stream.complete, 'the client sees that it was cut off')
})

async function nextChunk(stream: IncomingMessage): Promise<string> {
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  return chunk.toString()
}
