// CommonJS that exports an http.Server which does not listen yet.
'use strict'
const { createServer } = require('node:http')
const { answersOf } = require('./answers.cjs')

module.exports = createServer(answersOf('cjs-export-server'))
