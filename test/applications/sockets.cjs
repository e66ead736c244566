// WebSockets as applications write them: `ws` at /ws, /deflate, /destroy and /refuse, Socket.IO at /socket.io/. Remembers how its sockets ended.
const { createServer } = require('node:http')
const { Server } = require('socket.io')
const { WebSocketServer } = require('ws')

const codes = []
const server = createServer((request, response) => {
  if (request.url === '/codes') response.end(JSON.stringify(codes.splice(0)))
  else response.end(String(process.pid))
})

const plain = new WebSocketServer({ noServer: true })
const deflate = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 0 } })
const destroy = new WebSocketServer({ noServer: true })
for (const sockets of [plain, deflate]) {
  sockets.on('connection', (socket, request) => {
    socket.on('error', () => {})
    socket.on('message', (data, binary) => {
      if (String(data) === 'who') socket.send(`${request.socket.remoteAddress} ${request.socket.remotePort}`)
      else if (String(data) === 'close me') socket.close(4001, 'as you like')
      else socket.send(data, { binary })
    })
    socket.on('close', code => codes.push(code))
  })
}
destroy.on('connection', socket => socket.on('message', () => socket.terminate()))

const paths = new Map([
  ['/ws', plain],
  ['/deflate', deflate],
  ['/destroy', destroy],
])
server.on('upgrade', (request, socket, head) => {
  const sockets = paths.get(request.url)
  if (sockets !== undefined)
    sockets.handleUpgrade(request, socket, head, one => sockets.emit('connection', one, request))
  else if (request.url === '/refuse') socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?')
})

const io = new Server(server, { destroyUpgrade: false, pingInterval: 200, pingTimeout: 5000 })
io.on('connection', socket => {
  socket.on('echo', (data, answer) => answer(data))
  socket.on('who', answer => answer(socket.handshake.address))
  socket.conn.on('upgrade', () => socket.emit('upgraded'))
  socket.on('leave', () => socket.disconnect(true))
})

server.listen(3000)
