/** Applications that are a bare `fetch` function (Web standard); the names are those of `framework-scenes.ts`. */

export const text = () => async request =>
  new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`, {
    headers: [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ],
  })

export const streamed = () => () => {
  const pieces = ['one ', 'two ', 'three']
  const body = new ReadableStream({
    pull(controller) {
      const piece = pieces.shift()
      if (piece === undefined) controller.close()
      else controller.enqueue(new TextEncoder().encode(piece))
    },
  })
  return new Response(body)
}

export const echo = () => request => new Response(request.body, { headers: { 'content-type': 'text/plain' } })

export const withoutBody = () => () => new Response(null, { status: 204 })

export const failing = () => async () => {
  throw new DOMException('left', 'AbortError')
}

/** The signal of a request whose client leaves before there is an answer. */
export const aborted = note => request =>
  new Promise((_, reject) => {
    note('asked')
    request.signal.addEventListener('abort', () => {
      note(`abort ${request.signal.aborted}`)
      reject(new DOMException('left', 'AbortError'))
    })
  })

/** The stream of an answer whose client leaves in the middle. */
export const cancelled = note => request => {
  request.signal.addEventListener('abort', () => note('abort'))
  let timer
  const body = new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new TextEncoder().encode('beat ')), 5)
    },
    cancel() {
      clearInterval(timer)
      note('cancel')
    },
  })
  return new Response(body)
}
