// Has a TCP server of its own, opened first, beside the HTTP server. GET /extra tells its port.
'use strict'
const { createServer } = require('node:http')
const net = require('node:net')
const { answersOf } = require('./answers.cjs')

const extra = net.createServer(socket => socket.end('extra')).listen(0, '127.0.0.1')
const answer = answersOf('own-extra-tcp-server')
createServer((request, response) => {
  if (request.url === '/extra') response.end(JSON.stringify(extra.address()))
  else answer(request, response)
}).listen(3000)
