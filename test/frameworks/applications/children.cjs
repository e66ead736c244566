/** Has a child of its own, which it ends at its end. */
const { spawn } = require('node:child_process')
const { answer, cleanUp, endStreams, note } = require('./answers.cjs')

const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
child.on('spawn', () => note(`child-${child.pid}`))
const server = require('node:http').createServer(answer).listen(process.env.PORT)
process.on('SIGTERM', () => {
  endStreams()
  server.close(() => {
    child.kill()
    cleanUp()
  })
})
