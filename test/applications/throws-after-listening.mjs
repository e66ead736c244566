// Listens, goes on loading and fails.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'

const server = createServer().listen(3000)
await once(server, 'listening')
await readFile(new URL(import.meta.url))
throw new TypeError('the rest is missing')
