/** The same answers as answers.cjs, as a `fetch` function. Imported by those that export one. */

/** A function from Request to Response that says of itself that it is `framework`. */
export const fetchAnswersOf = framework => async request => {
  const { pathname } = new URL(request.url)
  switch (`${request.method} ${pathname}`) {
    case 'GET /hello':
      return Response.json({ hello: 'world', framework })
    case 'POST /echo':
      return new Response(request.body)
    case 'GET /headers':
      return Response.json(Object.fromEntries(request.headers))
    case 'GET /stream':
      return new Response(streamParts())
    default:
      return Response.json({ error: 'not found' }, { status: 404 })
  }
}

/** Three parts, each in a turn of the event loop of its own. */
export function streamParts() {
  const parts = ['one ', 'two ', 'three']
  return new ReadableStream({
    async pull(controller) {
      await new Promise(setImmediate)
      const part = parts.shift()
      if (part === undefined) controller.close()
      else controller.enqueue(new TextEncoder().encode(part))
    },
  })
}
