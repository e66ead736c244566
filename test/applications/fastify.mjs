// Fastify 5, on `localhost`: it opens one server for each address of that name.
import { Readable } from 'node:stream'
import Fastify from 'fastify'

const app = Fastify()
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
app.get('/hello', async () => ({ hello: 'world', framework: 'fastify' }))
app.get('/headers', async request => request.headers)
app.post('/echo', (request, reply) => reply.send(request.body))
app.get('/stream', (_request, reply) => reply.send(Readable.from(parts(), { objectMode: false })))
await app.listen({ port: 3000 })

async function* parts() {
  for (const part of ['one ', 'two ', 'three']) {
    yield part
    await new Promise(setImmediate)
  }
}
