// CommonJS that listens at once, with a host, a backlog and a callback, and exports its server as many do.
'use strict'
const { createServer } = require('node:http')
const { answersOf } = require('./answers.cjs')

module.exports = createServer(answersOf('cjs-listen')).listen(3000, '127.0.0.1', 128, () => {})
