// A fetch function that waits for its client to leave: GET /wait. GET /left says how many did; GET /throw fails.
const { Request: requestAtLoad } = globalThis
let left = 0

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url)
    if (pathname === '/left') return Response.json({ left })
    if (pathname === '/throw') throw new Error('thrown by fetch')
    if (pathname === '/globals')
      return Response.json({ same: Request === requestAtLoad, request: request instanceof Request })
    await new Promise(resolve => request.signal.addEventListener('abort', resolve))
    left++
    return new Response('for nobody')
  },
}
