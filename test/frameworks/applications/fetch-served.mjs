import { serve } from '@hono/node-server'
import exported from './fetch-export.mjs'

const server = serve({ fetch: exported.fetch, port: Number(process.env.PORT) })
process.on('SIGTERM', () => server.close())
