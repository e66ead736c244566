import { defineEventHandler, setResponseHeader } from 'h3'
import { answers } from '../answers.js'

export default defineEventHandler(event => {
  setResponseHeader(event, 'content-type', 'text/event-stream')
  return answers.eventStream()
})
