const loaded = require('close-with-grace')
const { createApplication, listen } = require('./fastify-routes.cjs')

const closeWithGrace = loaded.default ?? loaded
const application = createApplication()
listen(application)
closeWithGrace({ delay: 3000 }, async ({ err }) => {
  if (err) throw err
  await application.close()
})
