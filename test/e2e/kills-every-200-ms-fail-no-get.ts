/**
 * A worker is killed every 200 ms under 64 connections that GET and POST: no GET fails, and every POST is executed once at most, exactly once where it
 * was answered. `KILLS_FOR_MS` makes it last longer than the 8 seconds that it takes in the suite; on a busy machine it goes on until there were enough.
 */

import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setInterval } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { codeOf, reasonOf } from '../../kit/ground/failure.js'
import { watchLostTime } from '../kit/fixtures/lost-time.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

const lastsMs = Number(process.env.KILLS_FOR_MS ?? 8000)
const everyMs = 200
const connections = 64
const leastKills = lastsMs / 2 / everyMs / 2
const leastGets = 200
const patienceMs = 60_000 * timeFactor

/** Writes each POST's id down, in one write at the end of the file, before it answers; some of all requests take a while. */
const application = `
const { openSync, writeSync } = require('node:fs')
const executed = openSync(__dirname + '/executed', 'a')
let count = 0
require('node:http').createServer((request, response) => {
  let body = ''
  request.on('data', chunk => { body += chunk })
  request.on('end', () => {
    if (request.method === 'POST') writeSync(executed, body + '\\n')
    const answer = () => response.end(request.url + body)
    count += 1
    if (count % 8 === 0) setTimeout(answer, 20)
    else answer()
  })
}).listen(3000)
`

interface Outcome {
  method: string
  id: string
  status: number
  isWhole: boolean
  error: string
  tookMs: number
}

t.setTimeout((lastsMs + 240_000) * timeFactor)

for (const processes of [2, 4]) {
  t.test(`${processes} workers`, async t => {
    const expected = [/ worker-exit .*signal=SIGKILL why=died/, / worker-boot-failed /]
    const site = new WatchedSite(t, [`processes = ${processes}`, 'disable-logging = true'], {
      app: application,
      expected,
    })
    writeFileSync(site.path('executed'), '')
    const running = await site.serve()
    const outcomes: Outcome[] = []
    const lostMs = watchLostTime(t)
    const endMs = performance.now() + lastsMs / 2
    let killed = 0
    const isEnough = () => killed > leastKills && outcomes.filter(({ method }) => method === 'GET').length > leastGets
    const isOver = () => performance.now() > endMs && (isEnough() || performance.now() > endMs + patienceMs)
    const clients = Array.from({ length: connections }, (_, client) => askUntil(isOver, running.url, client, outcomes))
    for await (const _ of setInterval(everyMs)) {
      if (isOver()) break
      if (await killOne(site, killed)) killed += 1
    }
    await Promise.all(clients)
    await site.untilReady()
    report(t, outcomes, site.read('executed').trimEnd().split('\n'), lostMs())
    t.ok(killed > leastKills, `${killed} workers were killed`)
    t.match(await site.end(running), { code: 0 })
  })
}

function report(t: Test, outcomes: Outcome[], executed: string[], lostMs: number): void {
  const gets = outcomes.filter(({ method }) => method === 'GET')
  const posts = outcomes.filter(({ method }) => method === 'POST')
  const answered = posts.filter(({ status }) => status === 200)
  const slowest = Math.max(...outcomes.map(({ tookMs }) => tookMs))
  t.comment(
    `${gets.length} GETs, ${posts.length} POSTs, ${posts.length - answered.length} of them given up, slowest ${slowest.toFixed(0)} ms`,
  )
  t.same(
    gets.filter(({ status, isWhole }) => status !== 200 || !isWhole),
    [],
    'no GET failed',
  )
  t.ok(gets.length > leastGets, 'there were GETs')
  const times = new Map<string, number>()
  for (const id of executed) times.set(id, (times.get(id) ?? 0) + 1)
  t.same(
    [...times].filter(([, count]) => count > 1),
    [],
    'no POST was executed twice',
  )
  t.same(
    answered.filter(({ id, isWhole }) => times.get(id) !== 1 || !isWhole),
    [],
    'what was answered was executed',
  )
  t.same(
    posts.filter(({ status }) => status !== 200 && status !== 502),
    [],
    'the clients of the others were told',
  )
  t.ok(slowest < 5000 * timeFactor + lostMs, 'nobody waited for seconds')
}

/** One connection: GET and POST in turn, each with an id of its own. */
async function askUntil(isOver: () => boolean, url: string, client: number, outcomes: Outcome[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let number = 0; !isOver(); number++) {
    outcomes.push(await askOnce(agent, url, number % 2 === 0 ? 'GET' : 'POST', `${client}-${number}`))
  }
  agent.destroy()
}

function askOnce(agent: Agent, url: string, method: string, id: string): Promise<Outcome> {
  const sentMs = performance.now()
  return new Promise(resolve => {
    const over = (status: number, isWhole: boolean, error = '') =>
      resolve({ method, id, status, isWhole, error, tookMs: performance.now() - sentMs })
    const fail = (error: Error) => over(0, false, codeOf(error) || reasonOf(error))
    const body = method === 'POST' ? id : ''
    const asked = request(new URL(`/${id}`, url), { method, agent, timeout: 30_000 }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', fail)
      response.on('end', () => over(response.statusCode ?? 0, text === `/${id}${body}`, text.slice(0, 100)))
    })
    asked.on('error', fail)
    asked.on('timeout', () => asked.destroy(new Error('silent')))
    asked.end(body)
  })
}

/** Kills one of the workers that are there, whatever it is about: the one whose turn it is. Whether there was one. */
async function killOne(site: WatchedSite, turn: number): Promise<boolean> {
  const pids = (await site.status()).workers.flatMap(({ pid }) => pid ?? [])
  const victim = pids[turn % Math.max(1, pids.length)]
  if (victim === undefined) return false
  try {
    process.kill(victim, 'SIGKILL')
    return true
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error
    return false
  }
}
