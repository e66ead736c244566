/**
 * Shared by all endpoints: JSON responses, and the check of parameters. The response to a wrong one says which values
 * are accepted. Called by the endpoints and by `farm.js`, which turns a BadParameter into a 400.
 */

/** A parameter of the query that cannot be used; the message says what is accepted. */
export class BadParameter extends Error {}

/** Answers `value` as JSON; `headers` come on top. */
export function sendJson(response, status, value, headers = {}) {
  const text = `${JSON.stringify(value)}\n`
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...headers,
  })
  response.end(text)
}

/** A listener that answers the same JSON each time, written once: `http` sends head and text in one piece. */
export function preparedJson(value) {
  const text = `${JSON.stringify(value)}\n`
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
  }
  return (_request, response) => {
    response.writeHead(200, headers)
    response.end(text)
  }
}

/** The whole number `name` of a query string, `otherwise` where it is not given. */
export function wholeNumber(query, name, { least, most, otherwise }) {
  const text = single(query, name)
  if (text === undefined) return otherwise
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw new BadParameter(`${name}=${text}: a whole number from ${least} to ${most} is accepted (default ${otherwise})`)
}

/** Whether the switch `name` of a query string is on. */
export function switchedOn(query, name) {
  const text = single(query, name) ?? '0'
  if (text === '0' || text === '1') return text === '1'
  throw new BadParameter(`${name}=${text}: 0 or 1 is accepted (default 0)`)
}

function single(query, name) {
  const values = new URLSearchParams(query).getAll(name)
  if (values.length > 1) throw new BadParameter(`${name}: given ${values.length} times, once is accepted`)
  return values[0]
}
