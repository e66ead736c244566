/**
 * Serves an application that is a `fetch` function (Web standard Request → Response) as a request listener of
 * `node:http`. This file, and with it the adapter, is loaded only when an application needs it.
 */

import type { RequestListener } from 'node:http'
import { inspect } from 'node:util'
import { getRequestListener, RequestError } from '@hono/node-server'

/** An application as Hono and its relatives export it; the second argument holds Node's `incoming` and `outgoing`. */
export type Fetch = (request: Request, bindings: unknown) => Response | Promise<Response>

/**
 * A listener that responds with the result of `fetch`. The Request's `signal` aborts when the client leaves before the
 * response is complete. An error of `fetch` is printed with its own stack, and the response is a 500; a request that
 * cannot be a Request gets a 400. The global Request and Response stay Node's own: the application may have been
 * written to `instanceof` them.
 */
export function fetchListener(fetch: Fetch): RequestListener {
  // A client of HTTP/1.0 may leave out Host; a Request needs a URL with one.
  return getRequestListener(fetch, { overrideGlobalObjects: false, hostname: 'localhost', errorHandler: errorResponse })
}

function errorResponse(thrown: unknown): Response {
  if (thrown instanceof RequestError) return textResponse(400, 'Bad Request')
  // The client left and the application passed its `signal` on: nobody waits for the response, and nothing is wrong.
  if (!isAbort(thrown)) process.stderr.write(`${inspect(thrown)}\n`)
  return textResponse(500, 'Internal Server Error')
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'AbortError'
}

function textResponse(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } })
}
