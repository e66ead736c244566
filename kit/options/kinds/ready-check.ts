/**
 * The value of `ready-check`: the request to a new worker before it gets others, and the response that it must give. A
 * kind of `option-kinds.ts`; `ready-probe.ts` asks. Pure.
 */

import type { ReadyCheck } from '../values/value-types.js'
import type { Kind } from './option-kinds.js'

/** Method and status may be left out: GET, and any 2xx. */
export const readyCheck: Kind<ReadyCheck> = {
  symbol: '[METHOD] PATH [STATUS]',
  accepts:
    'GET or HEAD, a path and a status such as 200 or 2xx, separated by blanks, such as `GET /api/v1/_about 200`, or the path alone',
  parse(text) {
    const match = /^(?:(GET|HEAD) +)?(\/[\x21-\x7e]*)(?: +([2-5])(\d\d|xx))?$/.exec(text)
    if (match === null || match[2]?.includes('#')) {
      return {
        ok: false,
        hint: /^(get|head) /.test(text) ? text.replace(/^\w+/, method => method.toUpperCase()) : null,
      }
    }
    const [, method = 'GET', path = '/', digit = '2', rest = 'xx'] = match
    const statuses: ReadyCheck['statuses'] =
      rest === 'xx' ? [Number(digit) * 100, Number(digit) * 100 + 99] : [Number(digit + rest), Number(digit + rest)]
    return { ok: true, value: { method: method === 'HEAD' ? 'HEAD' : 'GET', path, statuses } }
  },
  print: ({ method, path, statuses: [low, high] }) => `${method} ${path} ${low === high ? low : `${low / 100}xx`}`,
}
