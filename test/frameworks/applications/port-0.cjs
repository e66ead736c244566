const { answer, closeAtSigterm, note } = require('./answers.cjs')

const server = require('node:http').createServer(answer)
server.listen(0, () => note(`port-${server.address().port}`))
closeAtSigterm(server)
