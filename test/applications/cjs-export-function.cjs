// CommonJS that exports a request listener and leaves listening to others.
'use strict'
const { answersOf } = require('./answers.cjs')

module.exports = answersOf('cjs-export-function')
