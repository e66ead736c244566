// Asks for more or less time than `harakiri` gives, as the path says, and blocks its loop for a while.
const { createServer } = require('node:http')

function turnFor(ms) {
  const endMs = performance.now() + ms
  while (performance.now() < endMs) Math.random()
}

process.on('SIGTERM', () => {
  console.log('the application cleans up')
  process.exit(0)
})

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  const ms = Number(searchParams.get('ms'))
  const seconds = searchParams.get('seconds')
  try {
    if (seconds !== null) globalThis.daimyo?.harakiri(request, Number(seconds))
  } catch (error) {
    response.statusCode = 400
    return response.end(error.message)
  }
  if (pathname.endsWith('/turn')) turnFor(ms)
  if (pathname.endsWith('/never')) return
  setTimeout(() => response.end(String(process.pid)), pathname.endsWith('/turn') ? 0 : ms)
}).listen(0)
