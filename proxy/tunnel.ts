/**
 * A WebSocket handshake and the tunnel behind it, to the worker's own unix socket or to a foreign upstream, which is "the worker" below as well.
 * Started by `tunnels.ts`.
 *
 * The handshake is an ordinary HTTP/1.1 request. Not a byte that came behind its head goes to the worker before the worker has said 101; any
 * other answer is an ordinary one and goes to the client with `Connection: close`.
 */

import { connect, type Socket } from 'node:net'
import type { UpstreamAddress } from '../kit/messages.js'
import type { Exchange } from './exchange.js'
import { malformation } from './header-field.js'

export interface TunnelEnd {
  /** The connection to the worker could not be made: it never saw the request. */
  unreachable(): void
  /** The worker's answer is not HTTP, or it hung up before it gave one. */
  badAnswer(): void
  /** 101 and switched; `client` is the tunnel's now. `close` is called when it is over. */
  open(status: number): { client: Socket; early: Buffer }
  /** Another status; the bytes up to the end of the connection are the answer. */
  refused(status: number, head: string, rest: Buffer, worker: Socket): void
  closed(): void
}

const MAX_HEAD_BYTES = 64 * 1024
/** How long one side may take nothing of what the other has said before it closed. */
const STUCK_MS = 60_000

export interface Tunnel {
  destroy(): void
}

export function openTunnel(exchange: Exchange, address: UpstreamAddress, end: TunnelEnd): Tunnel {
  const worker = connect(address)
  let connected = false
  worker.once('connect', () => {
    connected = true
    worker.write(printRequest(exchange), 'latin1')
  })
  worker.once('error', () => (connected ? end.badAnswer() : end.unreachable()))
  worker.once('end', end.badAnswer)
  readHead(worker, (head, rest) => {
    worker.removeListener('end', end.badAnswer)
    worker.removeAllListeners('error')
    const status = statusOf(head)
    if (status === null) {
      worker.destroy()
      end.badAnswer()
    } else if (status === 101) join(worker, head, rest, end)
    else {
      worker.on('error', () => {})
      end.refused(status, head, rest, worker)
    }
  })
  return { destroy: () => worker.destroy() }
}

/** Collects bytes up to the empty line; what follows it is `rest`. The worker is paused by then. */
function readHead(worker: Socket, onHead: (head: string, rest: Buffer) => void): void {
  let received: Buffer = Buffer.alloc(0)
  const read = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    const end = received.indexOf('\r\n\r\n')
    if (end < 0 && received.length < MAX_HEAD_BYTES) return
    worker.removeListener('data', read)
    worker.pause()
    onHead(end < 0 ? '' : received.latin1Slice(0, end + 4), received.subarray(end + 4))
  }
  worker.on('data', read)
}

function statusOf(head: string): number | null {
  const match = /^HTTP\/1\.[01] ([1-5][0-9]{2})[ \r]/.exec(head)
  return match === null || malformation(head.slice(0, -4)) !== null ? null : Number(match[1])
}

function join(worker: Socket, head: string, rest: Buffer, end: TunnelEnd): void {
  const { client, early } = end.open(101)
  client.write(head, 'latin1')
  if (rest.length > 0) client.write(rest)
  if (early.length > 0) worker.write(early)
  let open = 2
  const over = (other: Socket) => {
    closeBehind(other)
    open -= 1
    if (open === 0) end.closed()
  }
  for (const socket of [client, worker]) socket.on('error', () => {})
  client.on('close', () => over(worker))
  worker.on('close', () => over(client))
  worker.setNoDelay(true)
  client.pipe(worker)
  worker.pipe(client)
}

/** Ends a socket once it has taken what was written to it: the last message of one side is often followed by its end at once. */
function closeBehind(socket: Socket): void {
  socket.setTimeout(STUCK_MS, () => socket.destroy())
  socket.destroySoon()
}

/**
 * The handshake as the worker's own HTTP parser reads it. `close` is for an application that does not know WebSocket: its ordinary answer
 * ends with its connection then, and not when the worker's keep-alive time is over.
 */
function printRequest(exchange: Exchange): string {
  const { head } = exchange
  const parts = exchange.wireHeaders.slice(1).split('\n')
  let text = `${head.method} ${head.target} HTTP/1.1\r\n`
  for (let index = 0; index < parts.length; index += 2) text += `${parts[index]}: ${parts[index + 1]}\r\n`
  return `${text}Connection: Upgrade, close\r\nUpgrade: ${head.upgrade}\r\n\r\n`
}

/** A refused handshake's answer, made the last of its connection, as HTTP/1.1 bytes. */
export function withConnectionClose(head: string): string {
  const lines = head.split('\r\n').filter(line => !/^(connection|keep-alive):/i.test(line))
  lines.splice(1, 0, 'Connection: close')
  return lines.join('\r\n')
}
