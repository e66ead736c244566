/** A configuration with mistakes is answered with all of them, each with its place, exit 78, and nothing was started. */

import { existsSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { WatchedSite } from './fixtures/watched-site.js'

/** Behind `[uwsgi]` and the five lines that every site has, so the first of these is line 7. */
const lines = [
  'processes = many',
  'harakri = 3',
  '; a comment',
  'static-map = nonsense',
  'http-socket = 127.0.0.1:99999',
  'uid = nobody-has-this-name',
  'vacuum = perhaps',
  'mount = api',
  'socket = :3031',
]
const told = [
  /site\.ini:7: processes: .*received `?many`?.*accepted/,
  /site\.ini:8: .*harakri.*did you mean `harakiri`/,
  /site\.ini:10: static-map: .*nonsense/,
  /site\.ini:11: http(-socket)?: .*99999/,
  /site\.ini:12: uid: .*nobody-has-this-name/,
  /site\.ini:13: vacuum: .*perhaps/,
  /site\.ini:14: mount: .*api/,
  /site\.ini:15: socket: .*uwsgi protocol/,
]
const commands: [title: string, args: string[]][] = [
  ['run', []],
  ['start', ['start']],
  ['check', ['check']],
]
for (const [title, args] of commands) {
  t.test(title, async t => {
    const site = new WatchedSite(t, lines)
    const { code, out, err } = await site.run(...args, 'site.ini', '--max-requests', 'few')
    t.equal(code, EXIT.config)
    for (const pattern of told) t.match(out + err, pattern)
    t.match(out + err, /--max-requests: .*few/, 'the command line is judged with them')
    t.notMatch(out + err, /worker-start|site\.ini:9:|^\s+at /m)
    t.same(
      ['run', 'logs'].filter(name => existsSync(site.path(name))),
      [],
      'nothing was made',
    )
  })
}
