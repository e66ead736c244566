const { answer } = require('./answers.cjs')

require('node:http').createServer(answer).listen(process.env.PORT)
