// Koa 3.
import { Readable } from 'node:stream'
import Koa from 'koa'

const app = new Koa()
app.use(context => {
  switch (`${context.method} ${context.path}`) {
    case 'GET /hello':
      context.body = { hello: 'world', framework: 'koa' }
      break
    case 'GET /headers':
      context.body = context.headers
      break
    case 'POST /echo':
      context.body = context.req
      break
    case 'GET /stream':
      context.body = Readable.from(parts(), { objectMode: false })
      break
  }
})
app.listen(3000, 'localhost')

async function* parts() {
  for (const part of ['one ', 'two ', 'three']) {
    yield part
    await new Promise(setImmediate)
  }
}
