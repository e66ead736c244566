// Exports its listener, and listens with the same one when it has connected. Two workers must not fight for the port.
'use strict'
const { readFile } = require('node:fs/promises')
const { createServer } = require('node:http')
const { answersOf } = require('./answers.cjs')

async function connect() {
  for (let turn = 0; turn < 5; turn++) await readFile(__filename)
}

const listener = answersOf('exports-and-listens-later')
connect().then(() => {
  const server = createServer(listener)
  server.listen(3000, () => console.log(`second address ${JSON.stringify(server.address())}`))
})

module.exports = listener
