const { answer, cleanUp } = require('./answers.cjs')

const server = require('node:http').createServer(answer).listen(process.env.PORT)
process.on('SIGTERM', () => {
  server.close(error => {
    cleanUp().then(() => process.exit(error ? 1 : 0))
  })
  setTimeout(() => process.exit(1), 3000).unref()
})
