/**
 * The only place that turns an error into a status: every response of the proxy's own. The parser's refusals carry
 * their own status and come through `refusalResponse`.
 */

import { STATUS_CODES } from 'node:http'
import type { ResponseSlot } from '../../kit/page/response-slots.js'
import { httpDate } from './http-date.js'
import type { Refusal } from './request-head.js'

/**
 * Status and message of each error. Before an error is raised, `deaths/rescue.ts` has decided whether the request is
 * tried again.
 */
export const ERRORS = {
  'bad-path': [400, 'the path of the request target is not valid'],
  unauthorized: [401, 'user name and password are needed'],
  forbidden: [403, 'this file may not be read'],
  'not-found': [404, 'nothing is here'],
  'method-not-allowed': [405, 'this method is not allowed here'],
  'not-acceptable': [406, 'every form of this file is refused by accept-encoding'],
  'head-too-slow': [408, 'the request head did not arrive in time'],
  'body-stalled': [408, 'the request body stopped coming'],
  'body-too-slow': [408, 'the request body came too slowly'],
  'body-too-large': [413, 'the request body is larger than is allowed'],
  'precondition-failed': [412, 'the file is not what a condition of the request says'],
  'range-not-satisfiable': [416, 'the file has no bytes in this range'],
  'file-unreadable': [500, 'the file could not be read'],
  'worker-died': [502, 'the worker died while it had the request'],
  'worker-aborted': [502, 'the application gave no response'],
  'bad-answer': [502, 'the application responded with something that is not HTTP'],
  'no-tunnel': [502, 'the worker could not be reached'],
  'upstream-unreachable': [502, 'no server behind this path could be reached'],
  'upstream-lost': [502, 'the server broke off while it had the request'],
  'no-upstream': [503, 'no server behind this path was free in time'],
  'no-worker': [503, 'no worker was free in time'],
  stopping: [503, 'the server stops, and nobody is left for this request'],
  'queue-full': [503, 'too many requests are waiting for a worker'],
  'too-many-connections': [503, 'this address has too many connections'],
  quarantined: [503, 'workers died of this request'],
  'no-files': [503, 'too many files are open'],
  'no-metrics': [503, 'the master did not give its metrics'],
  'metrics-busy': [503, 'too many responses with metrics are under way'],
  'passwords-busy': [503, 'too many passwords are waiting to be checked'],
  // Not 503, which asks the client to try again: the application may have executed the request.
  'cut-by-stop': [504, 'the server stopped before the application had responded'],
  deadline: [504, 'the application did not respond before its deadline'],
} as const satisfies Record<string, readonly [status: number, message: string]>

/** A 503 asks the client to try again, after this time if no better one is known. */
const RETRY_SECONDS = 1

export type ErrorCode = keyof typeof ERRORS

/**
 * A whole response, ready for any client: fields without framing, and a body. A text is small; a large body is bytes,
 * which many responses may share. `slot` counts it among the responses under way; a response that is not sent has to
 * leave the slot.
 */
export interface OwnResponse {
  status: number
  fields: [name: string, value: string][]
  body: string | Buffer
  slot?: ResponseSlot
}

export function errorResponse(code: ErrorCode, extra: OwnResponse['fields'] = []): OwnResponse {
  const [status, message] = ERRORS[code]
  const fields: [string, string][] = [['Content-Type', 'text/plain; charset=utf-8'], ...extra]
  const isTold = extra.some(([name]) => name === 'Retry-After')
  if (status === 503 && !isTold) fields.push(['Retry-After', String(RETRY_SECONDS)])
  return { status, fields, body: `${titleOf(status)}: ${message}\n` }
}

export function refusalResponse(refusal: Refusal): OwnResponse {
  const fields: [string, string][] = [['Content-Type', 'text/plain; charset=utf-8']]
  if (refusal.refused === 'method-not-allowed') fields.push(['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'])
  return {
    status: refusal.status,
    fields,
    body: `${titleOf(refusal.status)}: ${refusal.reason}\n`,
  }
}

/** An HTTP/1.1 response of the proxy's own, as latin1. A body of bytes is not in it and follows. */
export function printResponse(response: OwnResponse, close: boolean, headOnly: boolean): string {
  let head = `HTTP/1.1 ${titleOf(response.status)}\r\nDate: ${httpDate()}\r\n`
  for (const [name, value] of response.fields) head += `${name}: ${value}\r\n`
  head += `Content-Length: ${Buffer.byteLength(response.body)}\r\nConnection: ${close ? 'close' : 'keep-alive'}\r\n\r\n`
  return headOnly || typeof response.body !== 'string' ? head : head + Buffer.from(response.body).latin1Slice()
}

export function titleOf(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`
}
