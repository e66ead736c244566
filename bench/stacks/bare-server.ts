/**
 * The program of the bare stack: `node bare-server.js PORT`. Started by `bare.ts`, ended by SIGTERM. Gives every
 * request the response of `GET /api/v1/_about` of the sample application.
 */

import { createServer } from 'node:http'

const body = '{"name":"farm","version":"0.1.0"}\n'
const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }

createServer((_request, response) => response.writeHead(200, headers).end(body)).listen(
  Number(process.argv[2]),
  '127.0.0.1',
)
