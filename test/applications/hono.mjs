// Hono 4, exported as for every runtime that knows fetch.
import { Hono } from 'hono'
import { streamText } from 'hono/streaming'

const app = new Hono()
app.get('/hello', context => context.json({ hello: 'world', framework: 'hono' }))
app.get('/headers', context => context.json(context.req.header()))
app.post('/echo', context => context.body(context.req.raw.body))
app.get('/stream', context =>
  streamText(context, async stream => {
    for (const part of ['one ', 'two ', 'three']) {
      await stream.write(part)
      await new Promise(setImmediate)
    }
  }),
)

export default app
