const gracefulShutdown = require('http-graceful-shutdown')
const { answer, cleanUp } = require('./answers.cjs')

gracefulShutdown(require('node:http').createServer(answer).listen(process.env.PORT), {
  timeout: 3000,
  onShutdown: cleanUp,
})
