/** A start that fails ends with a status line for systemd that says why, not with "stopping": whatever it fails by. */

import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { receiveNotifications, whyNoReceiver } from '../supervisor/fixtures/notify-receiver.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

t.test('the last word', { skip: whyNoReceiver() }, async t => {
  const server = createServer().listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  t.teardown(() => server.close())
  const taken = `http = 127.0.0.1:${(server.address() as { port: number }).port}`
  const starts: [title: string, lines: string[], app: string, exitCode: number, status: RegExp][] = [
    ['a mistake in the INI', ['prozesses = 2'], '', EXIT.config, /^STATUS=failed: cannot start: .*mistake/],
    ['a port that is taken', [taken], '', EXIT.unavailable, /^STATUS=failed: cannot listen: .*the address is in use/],
    [
      'an application that throws',
      [],
      'throw new Error("no database")',
      EXIT.unavailable,
      /^STATUS=failed: cannot start: the application: .*no database/,
    ],
  ]
  for (const [title, lines, app, exitCode, status] of starts) {
    const receiver = await receiveNotifications(t)
    const environment = { NOTIFY_SOCKET: receiver.path }
    const site = new WatchedSite(t, lines, { app, environment, expected: [/./] })
    t.equal((await site.run(site.ini)).code, exitCode, title)
    t.match(receiver.told().at(-1), status, title)
  }
})
