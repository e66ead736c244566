/** The value of `ready-check`: `kit/options/kinds/ready-check.ts`. */

import t from 'tap'
import { readyCheck } from '../../../../kit/options/kinds/ready-check.js'

const context = { cwd: '/', chdir: '/', cores: 1 }

const cases: [text: string, printed: string | null, hint?: string][] = [
  ['GET /api/v1/_about 200', 'GET /api/v1/_about 200'],
  ['HEAD /', 'HEAD / 2xx'],
  ['/ready?deep=1', 'GET /ready?deep=1 2xx'],
  ['/ready 204', 'GET /ready 204'],
  ['GET  /ready  3xx', 'GET /ready 3xx'],
  ['get /ready', null, 'GET /ready'],
  ['POST /ready', null],
  ['GET ready', null],
  ['http://127.0.0.1/ready', null],
  ['/ready 99', null],
  ['/ready 600', null],
  ['/ready 100', null],
  ['/ready 200 201', null],
  ['/rea dy', null],
  ['/ready#top', null],
  ['/ready\r\nX-A: b', null],
  ['', null],
]
for (const [text, printed, hint = null] of cases) {
  t.test(JSON.stringify(text), async t => {
    const parsed = readyCheck.parse(text, context)
    if (printed === null) t.same(parsed, { ok: false, hint })
    else t.equal(parsed.ok && readyCheck.print(parsed.value), printed)
  })
}
