/**
 * Bodies of a gigabyte pass in either direction, past a reader that takes 1 MB/s for the first ten seconds, and no process of the tree
 * ever holds 200 MB. E2E_SLOW_READ_SECONDS shortens the ten seconds for a try by hand.
 */

import { readFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { setInterval } from 'node:timers/promises'
import t from 'tap'
import { open } from './fixtures/asking.js'
import { farmLines, timeFactor, WatchedSite } from './fixtures/watched-site.js'

const gigabyte = 1_000_000_000
const mostBytes = 200_000_000
const slowMs = 1000 * Number(process.env.E2E_SLOW_READ_SECONDS ?? 10)
const slowBytesPerSecond = 1_000_000
const piece = Buffer.alloc(64 * 1024, 'rice ')

t.setTimeout(300_000 * timeFactor)

t.test('a GET, a POST, and a POST that comes back', async t => {
  const site = new WatchedSite(t, farmLines)
  const running = await site.serve()
  const streamed = open(running.url, `/api/v1/stream?bytes=${gigabyte}`).then(readSlowly)
  const discarded = post(running.url, '/api/v1/echo?discard=1', gigabyte).then(readText)
  const echoed = post(running.url, '/api/v1/echo', gigabyte / 4).then(readSlowly)
  const [got, told, back] = await Promise.all([streamed, discarded, echoed])
  t.equal(got.bytes, gigabyte, 'GET: every byte arrives')
  t.same(JSON.parse(told), { bytes: gigabyte }, 'POST: the application gets every byte')
  t.equal(back.bytes, gigabyte / 4, 'echo: every byte comes back')
  for (const { slowBytes } of [got, back]) {
    t.ok(slowBytes <= (slowBytesPerSecond * slowMs) / 1000, `the reader was slow: ${slowBytes} bytes before it hurried`)
  }
  const { proxies, workers } = await site.status()
  for (const [kind, list] of Object.entries({ proxy: proxies, worker: workers })) {
    for (const { pid } of list) {
      const bytes = peakBytes(pid ?? 0)
      t.ok(bytes < mostBytes, `${kind} ${pid}: never more than ${Math.round(bytes / 1e6)} MB`)
    }
  }
  t.match(await site.end(running), { code: 0 })
})

/** Sends `bytes` bytes as fast as they are taken. */
function post(url: string, path: string, bytes: number): Promise<IncomingMessage> {
  let left = bytes
  const body = new Readable({
    read() {
      const next = left < piece.length ? piece.subarray(0, left) : piece
      left -= next.length
      this.push(next.length === 0 ? null : next)
    },
  })
  const { hostname, port } = new URL(url)
  const headers = { 'content-length': bytes }
  return new Promise((resolve, reject) => {
    const sent = request({ host: hostname, port, path, method: 'POST', headers, agent: false }, resolve)
    sent.on('error', reject)
    body.pipe(sent)
  })
}

/** Reads at the slow pace for the first seconds, then as fast as it can. */
async function readSlowly(response: IncomingMessage): Promise<{ bytes: number; slowBytes: number }> {
  const startMs = performance.now()
  let bytes = 0
  for await (const _ of setInterval(20)) {
    const elapsedMs = performance.now() - startMs
    if (elapsedMs >= slowMs || response.readableEnded) break
    const due = Math.floor((elapsedMs * slowBytesPerSecond) / 1000) - bytes
    const chunk = due > 0 ? (response.read(Math.min(due, response.readableLength)) as Buffer | null) : null
    bytes += chunk?.length ?? 0
  }
  const slowBytes = bytes
  for await (const chunk of response) bytes += (chunk as Buffer).length
  return { bytes, slowBytes }
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}

/** The most memory that the process has ever had resident. */
function peakBytes(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return kilobytes === undefined ? Number.POSITIVE_INFINITY : Number(kilobytes) * 1024
}
