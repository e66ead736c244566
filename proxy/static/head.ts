/** Heads of responses with files, as HTTP/1.1 text. Pure. */

import { titleOf } from '../http/error-response.js'
import type { StaticResponse } from './files.js'

/** The head, latin1. `date`: the current time, as IMF-fixdate. */
export function printHead({ status, headers }: StaticResponse, date: string, close: boolean): string {
  let head = `HTTP/1.1 ${titleOf(status)}\r\nDate: ${date}\r\n`
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`
  return `${head}Connection: ${close ? 'close' : 'keep-alive'}\r\n\r\n`
}
