/**
 * The limits that a client can meet, named like the options that set them: the label of `daimyo_limits_total`. Some
 * show as a response of the proxy's own, whose code tells the limit (`limitBehind`). The others close or pause
 * something without a response, and are counted at that place.
 */

import type { ErrorCode } from '../http/error-response.js'
import type { RefusalCode } from '../http/refusal.js'

/** `idle-evicted`: closed to make room below `http-connections`; `descriptors`: RLIMIT_NOFILE of the process. */
export type LimitName =
  | 'buffer-size'
  | 'descriptors'
  | 'http-body-min-rate'
  | 'http-body-timeout'
  | 'http-connections'
  | 'http-connections-per-address'
  | 'http-half-close-timeout'
  | 'http-header-count'
  | 'http-header-timeout'
  | 'http-keepalive'
  | 'http-keepalive-requests'
  | 'http-keepalive-time'
  | 'http-queue'
  | 'http-queue-timeout'
  | 'http-send-timeout'
  | 'http-uri-size'
  | 'idle-evicted'
  | 'limit-post'
  | 'reload-mercy'

const BEHIND = new Map<ErrorCode | RefusalCode, LimitName>([
  ['body-stalled', 'http-body-timeout'],
  ['body-too-large', 'limit-post'],
  ['body-too-slow', 'http-body-min-rate'],
  ['cut-by-stop', 'reload-mercy'],
  ['head-too-long', 'buffer-size'],
  ['head-too-slow', 'http-header-timeout'],
  ['no-files', 'descriptors'],
  ['no-worker', 'http-queue-timeout'],
  ['queue-full', 'http-queue'],
  ['target-too-long', 'http-uri-size'],
  ['too-many-connections', 'http-connections-per-address'],
  ['too-many-fields', 'http-header-count'],
])

/** The limit that a response of the proxy's own stands for; undefined: the response has another reason. */
export function limitBehind(code: ErrorCode | RefusalCode): LimitName | undefined {
  return BEHIND.get(code)
}
