// Exports its listener for its tests, and listens itself once it has connected: some turns of the event loop later.
'use strict'
const { readFile } = require('node:fs/promises')
const { createServer } = require('node:http')
const { answersOf } = require('./answers.cjs')

async function connect() {
  for (let turn = 0; turn < 5; turn++) await readFile(__filename)
}

connect().then(() => createServer(answersOf('listens-later')).listen(3000))
