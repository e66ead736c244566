// An ES module that waits for something before it listens (top-level await), and runs only as the main program.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { answersOf } from './answers.cjs'

const path = fileURLToPath(import.meta.url)
await readFile(path)
const server = createServer(answersOf('esm-listen'))
if (process.argv[1] === path) {
  server.listen({ port: 0, host: '::1' })
  await once(server, 'listening')
}
