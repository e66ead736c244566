const { createHttpTerminator } = require('http-terminator')
const { answer, cleanUp } = require('./answers.cjs')

const server = require('node:http').createServer(answer).listen(process.env.PORT)
const { terminate } = createHttpTerminator({ server, gracefulTerminationTimeout: 3000 })
process.on('SIGTERM', async () => {
  await terminate()
  await cleanUp()
})
