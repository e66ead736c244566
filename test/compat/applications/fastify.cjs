/** Applications on Fastify; the names are those of `framework-scenes.ts`. */

const { Readable } = require('node:stream')
const fastify = require('fastify')

async function ready(app) {
  await app.ready()
  return app.server
}

module.exports = {
  json() {
    const app = fastify()
    app.post('/', async (request, reply) => {
      reply.code(201).header('set-cookie', ['a=1', 'b=2'])
      return { got: request.body, ip: request.ip, host: request.host }
    })
    return ready(app)
  },
  stream() {
    const app = fastify()
    app.get('/', (_request, reply) => reply.type('text/plain').send(Readable.from(['one ', 'two'])))
    return ready(app)
  },
  brokenStream() {
    const app = fastify()
    app.get('/', (_request, reply) => {
      const body = new Readable({ read() {} })
      body.push('some')
      setTimeout(() => body.destroy(new Error('no more')), 20)
      return reply.send(body)
    })
    return ready(app)
  },
  hijacked() {
    const app = fastify()
    app.get('/', (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'Content-Type': 'text/plain' })
      reply.raw.end('hijacked')
    })
    return ready(app)
  },
  trailers() {
    const app = fastify()
    app.get('/', (_request, reply) => {
      reply.trailer('x-sum', async () => '5')
      return reply.send('summed')
    })
    return ready(app)
  },
  clientLeaves(note) {
    const app = fastify()
    app.addHook('onRequestAbort', async _request => note('onRequestAbort'))
    app.get('/', request => {
      note('asked')
      return new Promise((_, reject) => request.raw.once('close', () => reject(new Error('left'))))
    })
    return ready(app)
  },
  invalid() {
    const app = fastify()
    app.post('/', async () => 'never')
    return ready(app)
  },
}
