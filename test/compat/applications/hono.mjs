/** Applications on Hono, as `fetch` functions; the names are those of `framework-scenes.ts`. */

import { Hono } from 'hono'
import { setCookie } from 'hono/cookie'
import { stream, streamSSE } from 'hono/streaming'

function hono(handler) {
  return new Hono().all('*', handler).fetch
}

export const json = () =>
  hono(async c => {
    setCookie(c, 'a', '1')
    setCookie(c, 'b', '2')
    return c.json({ method: c.req.method, url: c.req.url, body: await c.req.text() }, 201)
  })

export const streamed = () =>
  hono(c =>
    stream(c, async out => {
      await out.write('one ')
      await out.write('two')
    }),
  )

export const events = note =>
  hono(c =>
    streamSSE(c, async out => {
      out.onAbort(() => note('onAbort'))
      await out.writeSSE({ event: 'tick', data: '1', id: '1' })
      while (!out.aborted) await out.sleep(5)
    }),
  )

export const form = () => hono(async c => c.text(JSON.stringify(await c.req.parseBody())))

export const notFound = () => new Hono().fetch
