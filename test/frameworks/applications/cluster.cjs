/** Its primary serves nobody: two processes of its own do. */
const cluster = require('node:cluster')
const { answer, cleanUp, endStreams } = require('./answers.cjs')

if (cluster.isPrimary) {
  for (const _ of [1, 2]) cluster.fork()
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM')
  })
} else {
  require('node:http').createServer(answer).listen(process.env.PORT)
  process.on('SIGTERM', () => {
    endStreams()
    cluster.worker.disconnect()
  })
  cluster.worker.on('disconnect', cleanUp)
}
