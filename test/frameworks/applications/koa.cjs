const Koa = require('koa')
const { afterAWhile, closeAtSigterm, openStream } = require('./answers.cjs')

const application = new (Koa.default ?? Koa)()
application.use(async context => {
  if (context.path === '/events') {
    context.respond = false
    return openStream(context.res)
  }
  if (context.path === '/slow') await new Promise(resolve => afterAWhile(resolve))
  context.body = context.path.slice(1)
})
closeAtSigterm(application.listen(process.env.PORT))
