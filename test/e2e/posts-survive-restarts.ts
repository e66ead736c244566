/** POSTs of 16 KB from several clients, while reloads and restarts of single workers loop: no reset, no refusal, each executed once. */

import { Agent, request } from 'node:http'
import t from 'tap'
import { codeOf, reasonOf } from '../../kit/ground/failure.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

const clients = 6
const leastPosts = 500
const leastRounds = 2
const bodyBytes = 16 * 1024

/** Writes down who was executed, takes its time, and answers with what it got. */
const application = `
const { appendFileSync } = require('node:fs')
require('node:http').createServer((request, response) => {
  const parts = []
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    const body = Buffer.concat(parts)
    appendFileSync(__dirname + '/executed', request.url + '\\n')
    setTimeout(() => response.end(body), 5)
  })
}).listen(3000)
`

t.setTimeout(300_000 * timeFactor)

for (const keepAlive of [true, false]) {
  t.test(keepAlive ? 'on kept connections' : 'on a new connection each', async t => {
    const site = new WatchedSite(t, ['processes = 2', 'disable-logging = true'], { app: application })
    const running = await site.serve()
    let goesOn = true
    let posts = 0
    const failures: string[] = []
    const agent = new Agent({ keepAlive })
    const work = Array.from({ length: clients }, async (_, client) => {
      for (let number = 0; goesOn || posts < leastPosts; number++) {
        const path = `/${client}-${number}`
        const why = await post(agent, running.url, path)
        posts++
        if (why !== null) failures.push(`${path}: ${why}`)
      }
    })
    for (let round = 0; round < leastRounds; round++) {
      const reload = await site.run('reload', site.ini)
      if (reload.code !== 0) t.fail(reload.err)
      const restart = await site.run('restart-worker', String(1 + (round % 2)), site.ini)
      if (restart.code !== 0) t.fail(restart.err)
    }
    goesOn = false
    await Promise.all(work)
    agent.destroy()
    t.same(failures, [], `none of ${posts} failed`)
    const executed = site.read('executed').trimEnd().split('\n')
    t.equal(executed.length, posts)
    t.equal(new Set(executed).size, posts, 'each was executed once')
    t.match(await site.end(running), { code: 0 })
  })
}

/** Resolves with what went wrong, null: it was answered as it should. */
function post(agent: Agent, url: string, path: string): Promise<string | null> {
  const { hostname, port } = new URL(url)
  const body = Buffer.alloc(bodyBytes, path)
  return new Promise(resolve => {
    const sent = request(
      { host: hostname, port, path, method: 'POST', agent, timeout: 30_000 * timeFactor },
      response => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', error => resolve(codeOf(error) || reasonOf(error)))
        response.on('end', () => {
          const isWhole = response.statusCode === 200 && Buffer.concat(parts).equals(body)
          resolve(isWhole ? null : `${response.statusCode} ${Buffer.concat(parts).toString('latin1', 0, 100)}`)
        })
      },
    )
    sent.on('timeout', () => sent.destroy(new Error('silent')))
    sent.on('error', error => resolve(codeOf(error) || reasonOf(error)))
    sent.end(body)
  })
}
