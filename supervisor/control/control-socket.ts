/**
 * The server side of the control socket (`control-protocol.ts`): one request a connection, answers as JSON lines,
 * `done` last. `run-command.ts` starts it with the handler of `control-commands.ts`. Must stay true: the socket is 0600
 * from its first moment. A client that is slow, silent, hostile or gone costs a bounded amount of memory and time, and
 * never the master.
 */

import { createServer, type Server, type Socket } from 'node:net'
import { EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { freeSocketPath, removeSocket, withMode } from '../listen/socket-file.js'
import type { ControlAnswer, ControlDone, ControlRequest } from './control-protocol.js'

/** Carries out one request; `progress` lines reach the client at once. A thrown error is answered as a failure. */
export type ControlHandler = (request: ControlRequest, progress: (text: string) => void) => Promise<ControlDone>

/** A control socket that listens. */
export interface ControlSocket {
  /**
   * Listens again on its path after the socket was removed; open conversations go on. Failures as those of the start.
   */
  reopen(): Promise<void>
  /** Stops listening, finishes answers that are under way, and removes the socket file. */
  close(): Promise<void>
}

const MOST_CONNECTIONS = 16
const LONGEST_REQUEST_BYTES = 4096
/** The time for the request to arrive and, at the end, for the client to read the answer. */
const SILENCE_MS = 5000
/** If a client leaves more than this unread, further progress is dropped. */
const MOST_UNREAD_BYTES = 1 << 20

/** The commands, and the whole number that goes with some of them. */
const COMMANDS: Record<ControlRequest['command'], 'wanted' | 'slot' | null> = {
  status: null,
  top: null,
  reload: null,
  stop: null,
  'reopen-logs': null,
  scale: 'wanted',
  'restart-worker': 'slot',
  pause: null,
  resume: null,
}

/** Listens on `path`. Failures as `freeSocketPath`, and `control-socket` (71) for any other error of the system. */
export async function startControlSocket(path: string, handle: ControlHandler): Promise<ControlSocket> {
  const silent = new Set<Socket>()
  const open = async () => {
    await freeSocketPath(path, null)
    const server = createServer({ allowHalfOpen: true }, socket => converse(socket, handle, silent))
    server.maxConnections = MOST_CONNECTIONS
    await listen(server, path)
    return server
  }
  let server = await open()
  let reopening = Promise.resolve()
  return {
    reopen: () => {
      // Closed before the new one opens: when Node closes a server, it removes any file at its path.
      server.close()
      const opened = open().then(next => {
        server = next
      })
      reopening = opened.catch(() => {})
      return opened
    },
    close: () => reopening.then(() => close(server, path, silent)),
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', error => {
      reject(new Failure('control-socket', `cannot listen: ${path}: ${reasonOf(error)}`, EXIT.os, error))
    })
    server.once('listening', resolve)
    // bind(2) happens within the call.
    withMode(0o600, () => server.listen({ path }))
  })
}

function close(server: Server, path: string, silent: ReadonlySet<Socket>): Promise<void> {
  for (const socket of silent) socket.destroy()
  return new Promise(resolve => {
    server.close(() => {
      removeSocket(path, null)
      resolve()
    })
  })
}

/** One connection, from its request line to its `done`. It is in `silent` until it has sent its request. */
function converse(socket: Socket, handle: ControlHandler, silent: Set<Socket>): void {
  let received = ''
  silent.add(socket)
  socket.setEncoding('utf8')
  // ECONNRESET, EPIPE: the client went away; its order is carried out all the same.
  socket.on('error', () => {})
  socket.on('close', () => silent.delete(socket))
  socket.setTimeout(SILENCE_MS, () => socket.destroy())
  const onData = (text: string) => {
    received += text
    const end = received.indexOf('\n')
    if (end === -1 && received.length <= LONGEST_REQUEST_BYTES) return
    socket.off('data', onData)
    socket.resume()
    silent.delete(socket)
    // From here on the command may take any time.
    socket.setTimeout(0)
    const request = end === -1 || end > LONGEST_REQUEST_BYTES ? null : readRequest(received.slice(0, end))
    void answer(socket, request, handle)
  }
  socket.on('data', onData)
  socket.on('end', () => {
    if (silent.has(socket)) socket.destroy()
  })
}

async function answer(socket: Socket, request: ControlRequest | null, handle: ControlHandler): Promise<void> {
  const send = (line: ControlAnswer) => socket.writable && socket.write(`${JSON.stringify(line)}\n`)
  const progress = (text: string) => {
    if (socket.writableLength < MOST_UNREAD_BYTES) send({ type: 'progress', text })
  }
  if (request === null) {
    send({
      type: 'done',
      ok: false,
      reason: `not a request: one line of JSON, command = ${Object.keys(COMMANDS).join(', ')}`,
      lines: [],
    })
  } else {
    try {
      send(await handle(request, progress))
    } catch (error) {
      send({ type: 'done', ok: false, reason: reasonOf(error), lines: [] })
    }
  }
  socket.setTimeout(SILENCE_MS, () => socket.destroy())
  socket.end()
}

function readRequest(line: string): ControlRequest | null {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null) return null
    const { command, ...more } = value as Record<string, unknown>
    if (typeof command !== 'string' || !Object.hasOwn(COMMANDS, command)) return null
    const field = COMMANDS[command as ControlRequest['command']]
    if (field === null) return { command } as ControlRequest
    const isValue = Number.isSafeInteger(more[field]) || (command === 'scale' && more[field] === 'auto')
    return isValue ? ({ command, [field]: more[field] } as unknown as ControlRequest) : null
  } catch {
    // SyntaxError: not JSON.
    return null
  }
}
