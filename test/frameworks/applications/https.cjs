const { readFileSync } = require('node:fs')
const { answer, closeAtSigterm } = require('./answers.cjs')

const [key, cert] = ['key', 'cert'].map(name => readFileSync(`${process.env.TLS}/${name}.pem`))
closeAtSigterm(require('node:https').createServer({ key, cert }, answer).listen(process.env.PORT))
