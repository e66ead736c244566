/** Applications on Koa; the names are those of `framework-scenes.ts`. */

'use strict'

const { Readable } = require('node:stream')
const Koa = require('koa')

function koa(handler) {
  const app = new Koa()
  app.silent = true
  app.use(handler)
  return app.callback()
}

module.exports = {
  json: () =>
    koa(ctx => {
      ctx.cookies.set('a', 'b')
      ctx.set('X-From', ctx.protocol)
      ctx.body = { path: ctx.path, ip: ctx.ip, fresh: ctx.fresh }
    }),
  secureCookie: () =>
    koa(ctx => {
      ctx.socket.encrypted = true
      ctx.cookies.set('a', 'b', { secure: true })
      ctx.body = `${ctx.protocol} ${ctx.secure}`
    }),
  stream: () =>
    koa(ctx => {
      ctx.type = 'text'
      ctx.body = Readable.from(['one ', 'two'])
    }),
  thrown: () => koa(ctx => ctx.throw(418, 'short and stout')),
  brokenStream: () =>
    koa(ctx => {
      ctx.body = new Readable({ read() {} })
      ctx.body.push('some')
      setTimeout(() => ctx.body.destroy(new Error('no more')), 20)
    }),
  ownResponse: () =>
    koa(ctx => {
      ctx.respond = false
      ctx.res.statusCode = 202
      ctx.res.end('own')
    }),
}
