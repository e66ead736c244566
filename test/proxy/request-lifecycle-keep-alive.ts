/**
 * A connection that is kept answers its next request, wherever the body of the one before ended: at the window, at twice the window, and around both; in
 * whatever pieces it came, however it was framed, and whether its answer came before it or behind it.
 */

import type { RequestListener } from 'node:http'
import t from 'tap'
import { WINDOW_BYTES } from '../../kit/link/frames.js'
import { CLIENT_READ_BYTES } from '../../kit/link/read-buffer.js'
import { ForeignServer, toUpstreams } from './fixtures/foreign-server.js'
import { type RawClient, request } from './fixtures/raw-client.js'
import { type Rig, withRig } from './fixtures/rig.js'
import { signal, tick } from './fixtures/signal.js'

/** A connection that does not listen any more ends after this time, and the test does not wait for ever. */
const settings = { httpKeepaliveMs: 2000, httpBodyTimeoutMs: 2000 }
const sizes = [
  WINDOW_BYTES - 1,
  WINDOW_BYTES,
  WINDOW_BYTES + 1,
  WINDOW_BYTES + CLIENT_READ_BYTES,
  200_000,
  2 * WINDOW_BYTES - 1,
  2 * WINDOW_BYTES,
  2 * WINDOW_BYTES + 1,
  300_000,
]
const pieces = [Number.POSITIVE_INFINITY, WINDOW_BYTES, CLIENT_READ_BYTES, 50_000]

/** `/early`: answers at once and reads on. `/whole`: answers when it has all. `/slow`: the same, but reads piece by piece. */
const application: RequestListener = (asked, response) => {
  if (asked.url === '/early') {
    asked.resume()
    return void response.end('early')
  }
  let length = 0
  asked.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (asked.url !== '/slow') return
    asked.pause()
    setImmediate(() => asked.resume())
  })
  asked.on('end', () => response.end(`${length}`))
}

async function sendBody(client: RawClient, size: number, piece: number, isChunked: boolean): Promise<void> {
  const body = Buffer.alloc(size, 'x')
  for (let at = 0; at < size; at += piece) {
    const bytes = body.subarray(at, Math.min(size, at + piece))
    if (isChunked) client.send(`${bytes.length.toString(16)}\r\n`)
    client.send(bytes)
    if (isChunked) client.send('\r\n')
    if (piece < WINDOW_BYTES) await tick()
  }
  if (isChunked) client.send('0\r\n\r\n')
}

/** What was sent on connections that gave no second answer. */
async function deafOnes(rig: Rig, url: string): Promise<string[]> {
  const deaf: string[] = []
  const play = async (size: number, piece: number, isChunked: boolean) => {
    const client = await rig.client()
    const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`
    client.send(request('POST', url, [framing]))
    const first = url === '/early' ? client.answer() : null
    if (piece <= CLIENT_READ_BYTES) await first
    await sendBody(client, size, piece, isChunked)
    const { status } = await (first ?? client.answer())
    client.send(request('GET', '/whole'))
    const next = await client.answer()
    if (status !== 200 || next.status !== 200) deaf.push(`${framing}: ${size} in pieces of ${piece}`)
    client.socket.destroy()
  }
  for (const isChunked of [false, true])
    for (const piece of pieces) await Promise.all(sizes.map(size => play(size, piece, isChunked)))
  await rig.expectLines(sizes.length * pieces.length * 4 - deaf.length)
  return deaf
}

for (const url of ['/early', '/whole', '/slow']) {
  t.test(`to a worker: ${url}`, async t => {
    await withRig(t, { settings, workers: [application] }, async rig => {
      t.same(await deafOnes(rig, url), [])
    })
  })
}

for (const url of ['/whole', '/slow']) {
  t.test(`to a foreign upstream: ${url}`, async t => {
    const foreign = await ForeignServer.http(t, application)
    await withRig(t, { settings: { ...settings, ...toUpstreams(foreign) } }, async rig => {
      t.same(await deafOnes(rig, url), [])
    })
  })
}

t.test('a client that leaves is noticed behind a body that has used up the window', async t => {
  for (const size of [WINDOW_BYTES, 2 * WINDOW_BYTES]) {
    const [asked, gone] = [signal<void>(), signal<void>()]
    const stuck: RequestListener = (_, response) => {
      asked.arrive()
      response.on('close', () => gone.arrive())
    }
    await withRig(t, { settings: { postBufferingBytes: size }, workers: [stuck] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', [`Content-Length: ${size}`]))
      client.send(Buffer.alloc(size))
      await asked.arrived
      client.socket.destroy()
      await gone.arrived
      t.pass(`a body of ${size}`)
      await rig.expectLines(1)
    })
  }
})
