/**
 * Random pipelines of requests with bodies, to whatever answers them: application, file, foreign upstream, the proxy itself; some answered before their bodies are
 * read. Each answer belongs to its request, in order, until the connection ends; no body is ever read as a request, and nothing is asked twice.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { randomNumbers } from '../supervisor/fixtures/random-numbers.js'
import { ForeignServer } from './fixtures/foreign-server.js'
import { type RawAnswer, type RawClient, request } from './fixtures/raw-client.js'
import { type Rig, withRig } from './fixtures/rig.js'
import { tick } from './fixtures/signal.js'

type Random = ReturnType<typeof randomNumbers>

const pipelines = 100
const mostRequests = 8
const smuggled = request('GET', '/smuggled')

/** Answers at its path's pleasure, and says whom in a field. */
const application: RequestListener = async (asked, response) => {
  const { url = '' } = asked
  response.setHeader('X-Url', url)
  asked.on('error', () => {})
  if (url.includes('/hints')) response.writeEarlyHints({ link: '</a>; rel=preload' })
  if (url.includes('/early')) return void response.end('early')
  if (url.includes('/late')) return void setImmediate(() => setImmediate(() => response.end('late')))
  if (url.includes('/on')) {
    asked.resume()
    return void response.end('on')
  }
  let length = 0
  asked.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  asked.on('end', () => {
    if (url.includes('/parts')) response.write('part ')
    response.end(`${length} bytes`)
  })
}

interface Asked {
  url: string
  method: string
  text: string
  hasBody: boolean
  /** Its answer may come before its body is read, and then end the connection. */
  isEarly: boolean
}

const places = [
  '/echo',
  '/early',
  '/late',
  '/on',
  '/hints',
  '/parts',
  '/foreign/echo',
  '/foreign/early',
  '/foreign/late',
]

function compose(random: Random, index: number): Asked {
  const isFile = random(5) === 0
  const place = isFile ? '/files/a.txt' : (places[random(places.length)] ?? '')
  const method = ['GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD'][random(6)] ?? 'GET'
  const url = random(20) === 0 ? `/%zz/${index}` : `${place}?${index}`
  const isEarly = isFile || !/\/(?:echo|hints|parts)/.test(url)
  // A server that answers and closes with a body unread resets the connection, and its answer may be lost on the way: that is told and sent again.
  const isBare = url.startsWith('/foreign') && isEarly
  return {
    url,
    method,
    ...(isBare ? { text: request(method, url), hasBody: false } : composeBody(random, method, url)),
    isEarly,
  }
}

function composeBody(random: Random, method: string, url: string): Pick<Asked, 'text' | 'hasBody'> {
  const kind = random(4)
  if (kind < 2) return { text: request(method, url), hasBody: false }
  const body = smuggled.repeat([0, 1, 3, 50, 3000][random(5)] ?? 0)
  if (kind === 2) return { text: request(method, url, [`Content-Length: ${body.length}`]) + body, hasBody: body !== '' }
  let chunks = ''
  for (let at = 0; at < body.length; ) {
    const size = 1 + random([3, 50, 100_000][random(3)] ?? 1)
    const piece = body.slice(at, at + size)
    chunks += `${piece.length.toString(16)}${random(4) === 0 ? ';a=b' : ''}\r\n${piece}\r\n`
    at += size
  }
  const trailer = random(3) === 0 ? 'X-Sum: 1\r\n' : ''
  return {
    text: `${request(method, url, ['Transfer-Encoding: chunked'])}${chunks}0\r\n${trailer}\r\n`,
    hasBody: true,
  }
}

async function sendInPieces(random: Random, client: RawClient, text: string): Promise<void> {
  const most = [text.length, 20_000, 500][random(3)] ?? 1
  for (let at = 0; at < text.length; ) {
    const size = 1 + random(most)
    client.send(text.slice(at, at + size))
    at += size
    if (random(3) === 0) await tick()
  }
}

/** Why this cannot be the answer to that; null: it can. */
function fault({ url, method }: Asked, { status, fields, body, whole }: RawAnswer): string | null {
  if (!whole) return 'it is not whole'
  if (url.startsWith('/%zz')) return status === 400 ? null : `${status} for a bad path`
  if (url.startsWith('/files')) {
    const isRead = method === 'GET' || method === 'HEAD'
    if (!isRead) return status === 405 ? null : `${status} for a file that is written to`
    return status === 200 && (method === 'HEAD' || body.toString() === 'a file') ? null : `${status} for a file`
  }
  if (status !== 200) return `${status}: ${body}`
  return fields['x-url'] === url ? null : `it is that of ${fields['x-url']}`
}

async function play(rig: Rig, seed: number): Promise<{ faults: string[]; answered: number; begun: string[] }> {
  const random = randomNumbers(seed)
  const asked = Array.from({ length: 1 + random(mostRequests) }, (_, index) => compose(random, seed * 100 + index))
  const client = await rig.client()
  const sent = sendInPieces(random, client, asked.map(({ text }) => text).join(''))
  const faults: string[] = []
  let answered = 0
  let mayEnd = false
  for (const each of asked) {
    const answer = await client.answer(each.method === 'HEAD')
    if (answer.head === '') {
      if (!mayEnd) faults.push(`${each.method} ${each.url}: no answer`)
      break
    }
    const why = fault(each, answer)
    if (why !== null) faults.push(`${each.method} ${each.url}: ${why}`)
    answered += 1
    mayEnd = answer.fields.connection === 'close' || (each.isEarly && each.hasBody)
  }
  await sent
  client.socket.destroy()
  return { faults, answered, begun: asked.map(({ method, url }) => `${method} ${url}`) }
}

t.test(`${pipelines} pipelines`, async t => {
  const foreign = await ForeignServer.http(t, application)
  for (const compressed of [false, true]) {
    const settings = { httpAutoGzip: compressed, gzipTypes: ['text/html'], gzipMinLengthBytes: 1 }
    await withRig(t, { settings, workers: [application, application] }, async rig => {
      const folder = join(rig.folder, 'www')
      mkdirSync(folder)
      writeFileSync(join(folder, 'a.txt'), 'a file')
      rig.lifecycle.apply({
        ...rig.settings,
        routes: [
          { kind: 'static', prefix: '/files', folder },
          { kind: 'upstream', prefix: '/foreign', upstreams: [foreign.address] },
          { kind: 'app', prefix: '/' },
        ],
      })
      foreign.asked.length = 0
      const begun: string[] = []
      let answered = 0
      for (let seed = 1; seed <= pipelines; seed++) {
        const played = await play(rig, seed + (compressed ? pipelines : 0))
        t.same(played.faults, [], `pipeline ${seed}`)
        answered += played.answered
        begun.push(...played.begun)
      }
      t.ok(answered > pipelines * 2, `${answered} of ${begun.length} requests were answered`)
      const seen = [...rig.workers.flatMap(worker => worker.seen), ...foreign.asked]
      t.same(
        seen.filter(title => !begun.includes(title)),
        [],
        'nobody was asked what no client has asked',
      )
      t.equal(new Set(seen).size, seen.length, 'nor twice')
      while (rig.connections.size > 0) await tick()
      await rig.expectLines(rig.log.entries.length)
      t.ok(rig.log.entries.length >= answered, 'each answer is logged')
    })
  }
})
