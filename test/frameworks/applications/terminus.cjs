const { createTerminus } = require('@godaddy/terminus')
const { answer, cleanUp } = require('./answers.cjs')

const server = require('node:http').createServer(answer)
createTerminus(server, {
  signal: 'SIGTERM',
  timeout: 3000,
  healthChecks: { '/health': async () => {} },
  onSignal: cleanUp,
})
server.listen(process.env.PORT)
