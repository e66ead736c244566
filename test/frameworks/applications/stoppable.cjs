const stoppable = require('stoppable')
const { answer, cleanUp } = require('./answers.cjs')

const server = stoppable(require('node:http').createServer(answer), 3000).listen(process.env.PORT)
process.on('SIGTERM', () =>
  server.stop(error => {
    if (error) throw error
    cleanUp()
  }),
)
