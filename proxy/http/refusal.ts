/**
 * Why a client's message is refused: one row per reason, with its status. The codes are a closed set, so they can be
 * labels of counters.
 *
 * After any of these the place where the next request would begin is unknown or not to be believed: the response is
 * sent with `Connection: close`, and nothing more is read from that connection.
 */

const ROWS = {
  'bad-proxy-header': [400, 'connection does not begin with a header of the proxy protocol'],
  'bad-request-line': [400, 'request line is not method, target and version separated by single spaces'],
  'bad-method': [400, 'method is not a token'],
  'unknown-method': [501, 'method is not known here'],
  'method-not-allowed': [405, 'method is never served'],
  'bad-target': [400, 'request target has a form or a character that is not allowed'],
  'target-too-long': [414, 'request target is too long'],
  'version-not-supported': [505, 'only http/1.0 and http/1.1 are spoken here'],
  'bare-cr': [400, 'carriage return without line feed'],
  'bare-lf': [400, 'line feed without carriage return'],
  'obs-fold': [400, 'field line is folded'],
  'control-character': [400, 'control character in the head'],
  'empty-line': [400, 'empty line in the head'],
  'field-without-colon': [400, 'field line without colon'],
  'empty-field-name': [400, 'field name is empty'],
  'space-before-colon': [400, 'white space between field name and colon'],
  'bad-field-name': [400, 'field name is not a token'],
  'too-many-fields': [431, 'too many field lines'],
  'head-too-long': [431, 'head is too long'],
  'missing-host': [400, 'host is missing'],
  'repeated-host': [400, 'host is repeated'],
  'bad-host': [400, 'host is not a name or address with an optional port'],
  'repeated-content-length': [400, 'content-length is repeated'],
  'bad-content-length': [400, 'content-length is not a number that can be counted to'],
  'length-with-transfer-encoding': [400, 'content-length and transfer-encoding in one message'],
  'repeated-transfer-encoding': [400, 'transfer-encoding is repeated'],
  'bad-transfer-encoding': [400, 'transfer-encoding does not end with chunked'],
  'unknown-transfer-coding': [501, 'transfer-encoding has another coding than chunked'],
  'transfer-encoding-in-http10': [400, 'transfer-encoding in http/1.0'],
  'bad-connection': [400, 'connection is not a list of tokens'],
  'unknown-expectation': [417, 'expectation is not 100-continue'],
  'bad-chunk-size': [400, 'chunk size is not a hexadecimal number that can be counted to'],
  'bad-chunk-extension': [400, 'chunk extension is malformed'],
  'chunk-extensions-too-long': [400, 'chunk extensions are too long'],
  'bad-chunk-end': [400, 'chunk data is not followed by crlf'],
  'bad-trailer': [400, 'trailer line is not a field line'],
  'forbidden-trailer': [400, 'trailer speaks of framing, routing or the connection'],
  'trailers-too-long': [431, 'trailers are too long'],
} as const satisfies Record<string, readonly [status: number, reason: string]>

export type RefusalCode = keyof typeof ROWS

/** A refused message: `refused` names the rule; `reason` is one lower-case sentence that quotes nothing received. */
export interface Refusal {
  readonly refused: RefusalCode
  readonly status: number
  readonly reason: string
}

/** All refusals. They are made once, so a flood of bad messages allocates nothing. */
export const REFUSALS = Object.fromEntries(
  Object.entries(ROWS).map(([refused, [status, reason]]) => [refused, Object.freeze({ refused, status, reason })]),
) as Readonly<Record<RefusalCode, Refusal>>

/** Whether a parser refused its input. */
export function isRefusal(result: object): result is Refusal {
  return 'refused' in result
}
