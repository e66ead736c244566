/** Exports what is to be served; under bare Node `@hono/node-server` serves it. */
import answers from './answers.cjs'

const { afterAWhile, cleanUp, endStreams, eventStream } = answers

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url)
    if (pathname === '/events') return new Response(eventStream(), { headers: { 'content-type': 'text/event-stream' } })
    if (pathname === '/slow') await new Promise(resolve => afterAWhile(resolve))
    return new Response(pathname.slice(1))
  },
}

process.on('SIGTERM', () => {
  endStreams()
  cleanUp()
})
