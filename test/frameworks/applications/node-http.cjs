const { answer, closeAtSigterm } = require('./answers.cjs')

closeAtSigterm(require('node:http').createServer(answer).listen(process.env.PORT))
