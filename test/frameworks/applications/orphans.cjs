/** Has a child of its own, and forgets it. */
const { spawn } = require('node:child_process')
const { answer, closeAtSigterm, note } = require('./answers.cjs')

const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
child.on('spawn', () => note(`child-${child.pid}`))
child.unref()
closeAtSigterm(require('node:http').createServer(answer).listen(process.env.PORT))
