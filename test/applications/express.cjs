// Express 5: JSON body, static files, a router; listens as its documentation says and exports itself.
'use strict'
const { join } = require('node:path')
const express = require('express')

const app = express()
const api = express.Router()
api.get('/hello', (_request, response) => response.json({ hello: 'world', framework: 'express' }))
api.get('/headers', (request, response) => response.json(request.headers))
api.post('/json', express.json(), (request, response) => response.json({ received: request.body }))
api.post('/echo', (request, response) => request.pipe(response))
api.get('/stream', async (_request, response) => {
  for (const part of ['one ', 'two ', 'three']) {
    response.write(part)
    await new Promise(setImmediate)
  }
  response.end()
})
app.use('/files', express.static(join(__dirname, 'files')))
app.use(api)
app.listen(3000)

module.exports = app
