const { endStreams } = require('./answers.cjs')
const { createApplication, listen } = require('./fastify-routes.cjs')

const application = createApplication()
listen(application)
process.on('SIGTERM', () => {
  endStreams()
  application.close()
})
