import { createServer } from 'node:http'
import { createLightship } from 'lightship'
import answers from './answers.cjs'

const { answer, cleanUp } = answers
const lightship = await createLightship({
  detectKubernetes: false,
  port: 0,
  gracefulShutdownTimeout: 3000,
  shutdownHandlerTimeout: 3000,
})
const server = createServer(answer).listen(process.env.PORT, () => lightship.signalReady())
lightship.registerShutdownHandler(async () => {
  await new Promise((resolve, reject) => {
    server.close(error => (error ? reject(error) : resolve()))
  })
  await cleanUp()
})
