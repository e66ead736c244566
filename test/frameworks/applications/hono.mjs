import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import answers from './answers.cjs'

const { afterAWhile, closeAtSigterm, eventStream } = answers
const application = new Hono()
application.get('/fast', context => context.text('fast'))
application.get('/slow', context => new Promise(resolve => afterAWhile(() => resolve(context.text('slow')))))
application.get('/events', () => new Response(eventStream(), { headers: { 'content-type': 'text/event-stream' } }))
closeAtSigterm(serve({ fetch: application.fetch, port: Number(process.env.PORT) }))
