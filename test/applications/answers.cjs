/**
 * What every fixture application answers, as a plain request listener: GET /hello, POST /echo, GET /headers, GET /stream.
 * Required by those that run on bare `node:http`.
 */
'use strict'

/** A request listener that says of itself that it is `framework`. */
exports.answersOf = framework => (request, response) => {
  const json = value => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(value))
  }
  switch (`${request.method} ${request.url.split('?', 1)[0]}`) {
    case 'GET /hello':
      return json({ hello: 'world', framework })
    case 'POST /echo':
      return request.pipe(response)
    case 'GET /headers':
      return json(request.headers)
    case 'GET /stream':
      return sendParts(response)
    default:
      response.statusCode = 404
      return json({ error: 'not found' })
  }
}

/** Three parts in three turns of the event loop, so that they are three chunks. */
function sendParts(response) {
  const parts = ['one ', 'two ', 'three']
  const next = () => {
    const part = parts.shift()
    if (part === undefined) return response.end()
    response.write(part)
    setImmediate(next)
  }
  next()
}
