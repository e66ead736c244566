const { createApplication, listen } = require('./fastify-routes.cjs')

const application = createApplication()
application.register(require('fastify-graceful-shutdown'), { timeout: 3000 })
listen(application)
