// CommonJS that listens only when it is run, not when it is required by its tests.
'use strict'
const { createServer } = require('node:http')
const { answersOf } = require('./answers.cjs')

const server = createServer(answersOf('cjs-require-main'))
if (require.main === module && process.argv[1] === __filename) server.listen(process.env.PORT || '3000')
