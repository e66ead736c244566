const express = require('express')
const { afterAWhile, closeAtSigterm, openStream } = require('./answers.cjs')

const application = express()
application.get('/fast', (_request, response) => response.send('fast'))
application.get('/slow', (_request, response) => afterAWhile(() => response.send('slow')))
application.get('/events', (_request, response) => openStream(response))
closeAtSigterm(application.listen(process.env.PORT))
