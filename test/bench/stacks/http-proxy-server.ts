import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ask, freePorts } from '../../../bench/ask.js'
import { makeFolder } from '../../../bench/site.js'
import { httpProxy } from '../../../bench/stacks/http-proxy.js'
import { startStack } from '../../../bench/stacks/stack.js'

const calm = new AbortController().signal
const app = `require('http').createServer(async (request, response) => {
  const body = await request.toArray()
  response.setHeader('x-worker', process.env.PORT)
  response.end(JSON.stringify({ forwarded: request.headers['x-forwarded-for'] !== undefined, connection: request.headers.connection, body: body.join('').length }))
}).listen(process.env.PORT)`

t.test(
  'http-proxy asks both workers in turn, with the body, on kept connections',
  { skip: httpProxy.missing() ?? false },
  async t => {
    const { folder, siteFolder } = makeFolder()
    t.teardown(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'app.cjs'), app)
    const [port = 0, sparePort = 0] = await freePorts(2)
    const bed = { folder, port, sparePort, app: join(folder, 'app.cjs'), siteFolder }
    const stack = await startStack(httpProxy, bed, calm)
    t.teardown(async () => void (await stack.stop()))
    const workers = new Set<unknown>()
    const expected = JSON.stringify({ forwarded: true, connection: 'keep-alive', body: 4096 })
    for (let turn = 0; turn < 4; turn++) {
      const headers = { connection: 'keep-alive' }
      const answer = await ask({ url: `${stack.url}/`, method: 'POST', headers, body: 'x'.repeat(4096) }, calm)
      t.match(answer, { status: 200, bodyBytes: expected.length })
      workers.add(answer.headers['x-worker'])
    }
    t.equal(workers.size, 2)
    t.strictSame(await stack.stop(), [])
  },
)
