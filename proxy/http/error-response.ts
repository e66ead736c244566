/**
 * The only place that turns an error into a status: every answer that the proxy gives in its own name.
 * Used by `phases.ts`; the parser's refusals carry their own status and come through `refusalAnswer`.
 */

import { STATUS_CODES } from 'node:http'
import type { ResponseSlot } from '../../kit/page/response-slots.js'
import { httpDate } from './http-date.js'
import type { Refusal } from './request-head.js'

/**
 * source: who is to blame. retry: whether another worker may be tried (`never`, `unseen` = if the application has not seen it,
 * `idempotent` = also then, if the method allows); decided in `rescue.ts` before the error becomes an answer.
 */
interface ErrorRow {
  source: 'client' | 'upstream' | 'proxy'
  status: number
  retry: 'never' | 'unseen' | 'idempotent'
  message: string
  retryAfterSeconds?: number
}

export const ERRORS = {
  'bad-path': { source: 'client', status: 400, retry: 'never', message: 'the path of the request target is not valid' },
  unauthorized: { source: 'client', status: 401, retry: 'never', message: 'user name and password are needed' },
  forbidden: { source: 'client', status: 403, retry: 'never', message: 'this file may not be read' },
  'not-found': { source: 'client', status: 404, retry: 'never', message: 'nothing is here' },
  'method-not-allowed': { source: 'client', status: 405, retry: 'never', message: 'this method is not allowed here' },
  'not-acceptable': {
    source: 'client',
    status: 406,
    retry: 'never',
    message: 'every form of this file is refused by accept-encoding',
  },
  'head-too-slow': {
    source: 'client',
    status: 408,
    retry: 'never',
    message: 'the request head did not arrive in time',
  },
  'body-stalled': {
    source: 'client',
    status: 408,
    retry: 'never',
    message: 'the request body stopped coming',
  },
  'body-too-slow': {
    source: 'client',
    status: 408,
    retry: 'never',
    message: 'the request body came too slowly',
  },
  'body-too-large': {
    source: 'client',
    status: 413,
    retry: 'never',
    message: 'the request body is larger than is allowed',
  },
  'precondition-failed': {
    source: 'client',
    status: 412,
    retry: 'never',
    message: 'the file is not what a condition of the request says',
  },
  'range-not-satisfiable': {
    source: 'client',
    status: 416,
    retry: 'never',
    message: 'the file has no bytes in this range',
  },
  'file-unreadable': { source: 'proxy', status: 500, retry: 'never', message: 'the file could not be read' },
  'worker-died': {
    source: 'upstream',
    status: 502,
    retry: 'idempotent',
    message: 'the worker died while it had the request',
  },
  'worker-aborted': { source: 'upstream', status: 502, retry: 'never', message: 'the application gave no answer' },
  'bad-answer': {
    source: 'upstream',
    status: 502,
    retry: 'never',
    message: 'the application answered with something that is not HTTP',
  },
  'no-tunnel': { source: 'upstream', status: 502, retry: 'unseen', message: 'the worker could not be reached' },
  'upstream-unreachable': {
    source: 'upstream',
    status: 502,
    retry: 'unseen',
    message: 'no server behind this path could be reached',
  },
  'upstream-lost': {
    source: 'upstream',
    status: 502,
    retry: 'idempotent',
    message: 'the server broke off while it had the request',
  },
  'no-upstream': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'no server behind this path was free in time',
    retryAfterSeconds: 1,
  },
  'no-worker': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'no worker was free in time',
    retryAfterSeconds: 1,
  },
  stopping: {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'the server stops, and nobody is left for this request',
    retryAfterSeconds: 1,
  },
  'queue-full': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'too many requests are waiting for a worker',
    retryAfterSeconds: 1,
  },
  'too-many-connections': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'this address has too many connections',
    retryAfterSeconds: 1,
  },
  quarantined: {
    source: 'upstream',
    status: 503,
    retry: 'never',
    message: 'workers died of this request',
    retryAfterSeconds: 60,
  },
  'no-files': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'too many files are open',
    retryAfterSeconds: 1,
  },
  'no-metrics': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'the master did not give its metrics',
    retryAfterSeconds: 1,
  },
  'metrics-busy': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'too many responses with metrics are under way',
    retryAfterSeconds: 1,
  },
  'passwords-busy': {
    source: 'proxy',
    status: 503,
    retry: 'never',
    message: 'too many passwords are waiting to be checked',
    retryAfterSeconds: 1,
  },
  // Not 503, which asks to try again: the application may have done what was asked.
  'cut-by-stop': {
    source: 'upstream',
    status: 504,
    retry: 'never',
    message: 'the server stopped before the application had answered',
  },
  deadline: {
    source: 'upstream',
    status: 504,
    retry: 'never',
    message: 'the application did not answer before its deadline',
  },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/**
 * A whole answer, ready for any client: fields without framing, a body. A text is small; a large body is bytes, which
 * many answers may share. `slot` counts it among the responses under way; whoever does not send it leaves the slot.
 */
export interface OwnAnswer {
  status: number
  fields: [name: string, value: string][]
  body: string | Buffer
  slot?: ResponseSlot
}

export function errorAnswer(code: ErrorCode, extra: OwnAnswer['fields'] = []): OwnAnswer {
  const row: ErrorRow = ERRORS[code]
  const fields: [string, string][] = [['Content-Type', 'text/plain; charset=utf-8'], ...extra]
  const isTold = extra.some(([name]) => name === 'Retry-After')
  if (row.retryAfterSeconds !== undefined && !isTold) fields.push(['Retry-After', String(row.retryAfterSeconds)])
  return { status: row.status, fields, body: `${titleOf(row.status)}: ${row.message}\n` }
}

export function refusalAnswer(refusal: Refusal): OwnAnswer {
  const fields: [string, string][] = [['Content-Type', 'text/plain; charset=utf-8']]
  if (refusal.refused === 'method-not-allowed') fields.push(['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'])
  return {
    status: refusal.status,
    fields,
    body: `${titleOf(refusal.status)}: ${refusal.reason}\n`,
  }
}

/** An HTTP/1.1 answer of the proxy's own, as latin1; a body of bytes is not in it and follows. */
export function printAnswer(answer: OwnAnswer, close: boolean, headOnly: boolean): string {
  let head = `HTTP/1.1 ${titleOf(answer.status)}\r\nDate: ${httpDate()}\r\n`
  for (const [name, value] of answer.fields) head += `${name}: ${value}\r\n`
  head += `Content-Length: ${Buffer.byteLength(answer.body)}\r\nConnection: ${close ? 'close' : 'keep-alive'}\r\n\r\n`
  return headOnly || typeof answer.body !== 'string' ? head : head + Buffer.from(answer.body).latin1Slice()
}

export function titleOf(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`
}
