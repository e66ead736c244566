/** Behind nginx, say: anybody may connect. */
const { chmodSync, rmSync } = require('node:fs')
const { answer, closeAtSigterm } = require('./answers.cjs')

const path = process.env.SOCKET
rmSync(path, { force: true })
closeAtSigterm(
  require('node:http')
    .createServer(answer)
    .listen(path, () => chmodSync(path, 0o666)),
)
