/** Without decorators' syntax, which needs a compiler: they are functions. */
require('reflect-metadata')
const { Controller, Get, Module, Req, Res } = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
const { answer, cleanUp } = require('../../applications/answers.cjs')

class Answers {
  answer(request, response) {
    answer(request, response)
  }
  onApplicationShutdown() {
    return cleanUp()
  }
}
Controller()(Answers)
Get(['fast', 'slow', 'events'])(
  Answers.prototype,
  'answer',
  Object.getOwnPropertyDescriptor(Answers.prototype, 'answer'),
)
Req()(Answers.prototype, 'answer', 0)
Res()(Answers.prototype, 'answer', 1)

class Application {}
Module({ controllers: [Answers] })(Application)

async function main() {
  const application = await NestFactory.create(Application, { logger: false })
  application.enableShutdownHooks()
  await application.listen(process.env.PORT)
}
main()
