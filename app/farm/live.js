/**
 * The endpoints that stay open: server-sent events and the WebSocket echo. Called by `farm.js`. A client that reads too
 * slowly misses ticks, or is not read from until it has caught up, so nothing piles up here for it.
 */
import { WebSocketServer } from 'ws'
import { sendJson, wholeNumber } from './answers.js'
import { streamOpened } from './metrics.js'

/** Ticks every `ms`, the first at once; `Last-Event-ID` goes on counting where the last connection ended. */
export function events(limits) {
  return (request, response, query) => {
    const everyMs = wholeNumber(query, 'ms', { least: 10, most: limits.events_ms, otherwise: 1000 })
    let id = lastEventId(request)
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write('retry: 1000\n\n')
    const tick = () => {
      id++
      if (response.writableNeedDrain) return
      const data = JSON.stringify({ tick: id, time: new Date().toISOString(), pid: process.pid })
      response.write(`id: ${id}\nevent: tick\ndata: ${data}\n\n`)
    }
    tick()
    const timer = setInterval(tick, everyMs)
    const closed = streamOpened('events')
    response.once('close', () => {
      clearInterval(timer)
      closed()
    })
  }
}

function lastEventId(request) {
  const text = request.headers['last-event-id']
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : 0
}

/** The response to a request for the WebSocket that does not open one. */
export function webSocketOnly(_request, response) {
  const error = 'a WebSocket is spoken here: Upgrade: websocket is accepted'
  sendJson(response, 426, { error }, { upgrade: 'websocket', connection: 'upgrade' })
}

/** A listener for `upgrade` that opens a WebSocket and sends every message back. */
export function webSocketEcho(limits) {
  const server = new WebSocketServer({ noServer: true, maxPayload: limits.message_bytes, perMessageDeflate: false })
  return (request, socket, head) => server.handleUpgrade(request, socket, head, echoMessages(limits.message_bytes))
}

function echoMessages(backlogBytes) {
  return webSocket => {
    const closed = streamOpened('ws')
    webSocket.on('close', closed)
    // A broken or oversized frame: ws closes the connection itself, `close` follows.
    webSocket.on('error', () => {})
    webSocket.on('message', (data, binary) => {
      webSocket.send(data, { binary }, () => {
        if (webSocket.isPaused && webSocket.bufferedAmount <= backlogBytes) webSocket.resume()
      })
      if (webSocket.bufferedAmount > backlogBytes) webSocket.pause()
    })
  }
}
