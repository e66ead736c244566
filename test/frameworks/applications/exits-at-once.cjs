const { answer, note } = require('./answers.cjs')

require('node:http').createServer(answer).listen(process.env.PORT)
process.on('SIGTERM', () => {
  note('told')
  note('done')
  process.exit(0)
})
