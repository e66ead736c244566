/** A Fastify application; its users close it in their own ways. */
const { fastify } = require('fastify')
const { afterAWhile, cleanUp, openStream } = require('./answers.cjs')

function createApplication() {
  const application = fastify()
  application.get('/fast', async () => 'fast')
  application.get('/slow', (_request, reply) => afterAWhile(() => reply.send('slow')))
  application.get('/events', (_request, reply) => {
    reply.hijack()
    openStream(reply.raw)
  })
  application.addHook('onClose', cleanUp)
  return application
}

const listen = application => application.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })

module.exports = { createApplication, listen }
