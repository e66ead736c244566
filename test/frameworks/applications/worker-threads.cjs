/** The slow answer comes from a thread, which ends with the application. */
const { once } = require('node:events')
const { Worker } = require('node:worker_threads')
const { afterAWhile, answer, cleanUp, endStreams } = require('./answers.cjs')

const thread = new Worker("require('node:worker_threads').parentPort.on('message', port => port.postMessage('slow'))", {
  eval: true,
})
function ask(response) {
  const { port1, port2 } = new MessageChannel()
  port1.on('message', text => {
    port1.close()
    response.end(text)
  })
  thread.postMessage(port2, [port2])
}
const server = require('node:http')
  .createServer((request, response) =>
    request.url === '/slow' ? afterAWhile(() => ask(response)) : answer(request, response),
  )
  .listen(process.env.PORT)
process.on('SIGTERM', async () => {
  endStreams()
  server.close()
  await once(server, 'close')
  await thread.terminate()
  await cleanUp()
})
