/**
 * The endpoints that answer once: the two about the application itself, and those to try a server with.
 * `farm.js` puts them into its table. Each is `(request, response, query)`; `query` is the text behind the `?`.
 * Bodies of any size pass in bounded memory: the streams pull, nothing is collected.
 */
import { pipeline, Readable } from 'node:stream'
import { sendJson, switchedOn, wholeNumber } from './answers.js'

/** Sends the body back as it comes; `?discard=1` reads it, throws it away and answers how long it was. */
export function echo(request, response, query) {
  if (switchedOn(query, 'discard')) {
    let bytes = 0
    request.on('data', piece => {
      bytes += piece.length
    })
    request.on('end', () => sendJson(response, 200, { bytes }))
    return
  }
  const { 'content-length': length, 'content-type': type = 'application/octet-stream' } = request.headers
  response.writeHead(200, {
    'content-type': type,
    'x-content-type-options': 'nosniff',
    ...(length === undefined ? {} : { 'content-length': length }),
  })
  pipeline(request, response, clientLeft)
}

/** Answers after `ms`, without work in between. */
export function sleep(limits) {
  return (_request, response, query) => {
    const sleptMs = wholeNumber(query, 'ms', { least: 0, most: limits.sleep_ms, otherwise: 1000 })
    const timer = setTimeout(() => sendJson(response, 200, { sleptMs }), sleptMs)
    response.once('close', () => clearTimeout(timer))
  }
}

/**
 * Computes for `ms` and blocks the event loop meanwhile, as a regular expression with catastrophic backtracking does.
 */
export function burn(limits) {
  return (_request, response, query) => {
    const burntMs = wholeNumber(query, 'ms', { least: 0, most: limits.burn_ms, otherwise: 1000 })
    const endMs = performance.now() + burntMs
    let turns = 0
    while (performance.now() < endMs) turns++
    sendJson(response, 200, { burntMs, turns })
  }
}

/** 64 KB of lines of 64 bytes, the same for everybody. */
const PIECE = Buffer.from(`${'rice, row by row, as far as the eye can see '.padEnd(63, '.')}\n`.repeat(1024))

/** Answers `bytes` bytes, as fast as they are read. */
export function stream(limits) {
  return (request, response, query) => {
    let left = wholeNumber(query, 'bytes', { least: 0, most: limits.stream_bytes, otherwise: 1_048_576 })
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(left) })
    if (request.method === 'HEAD') return response.end()
    const body = new Readable({
      highWaterMark: PIECE.length,
      read() {
        const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
        left -= piece.length
        this.push(piece.length === 0 ? null : piece)
      },
    })
    pipeline(body, response, clientLeft)
  }
}

/** Which process answered, and what it saw of the request. */
export function whoami(request, response) {
  const { method, url, httpVersion, headers, socket } = request
  sendJson(response, 200, {
    pid: process.pid,
    slot: process.env.DAIMYO_SLOT ?? null,
    node: process.version,
    remoteAddress: socket.remoteAddress ?? null,
    method,
    url,
    httpVersion,
    headers,
  })
}

/** Throws an error that nobody catches: the process ends without a response. */
export function crash() {
  setImmediate(() => {
    throw new Error('crash: /api/v1/crash was asked')
  })
}

/** End of a `pipeline`: an error there means that the other side left, and both streams are destroyed already. */
function clientLeft() {}
