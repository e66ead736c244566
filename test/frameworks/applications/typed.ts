/** TypeScript that Node cannot run by taking the types away. */
import { createServer } from 'node:http'
import answers from './answers.cjs'

enum Path {
  Fast = '/fast',
}

const server = createServer((request, response) => {
  if (request.url === Path.Fast) return response.end('fast')
  answers.answer(request, response)
})
answers.closeAtSigterm(server.listen(process.env.PORT))
