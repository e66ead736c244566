/** Written for PM2's `wait_ready` and `shutdown_with_message`. */
const { answer, cleanUp, endStreams } = require('./answers.cjs')

const server = require('node:http')
  .createServer(answer)
  .listen(process.env.PORT, () => process.send?.('ready'))
let isLeaving = false
function leave() {
  if (isLeaving) return
  isLeaving = true
  endStreams()
  server.close(() => cleanUp().then(() => process.exit(0)))
}
process.on('message', message => {
  if (message === 'shutdown') leave()
})
process.on('SIGTERM', leave)
