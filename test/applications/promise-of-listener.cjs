// CommonJS that exports a Promise of a request listener: it has to prepare something first.
'use strict'
const { readFile } = require('node:fs/promises')
const { answersOf } = require('./answers.cjs')

module.exports = readFile(__filename).then(() => answersOf('promise-of-listener'))
