#!/usr/bin/env node
/**
 * The first lines of every `daimyo` command, a master's included.
 *
 * Node's answer to SIGUSR1 is an inspector on 127.0.0.1:9229, where any local user could run code as whoever runs the command: root. Log rotations and
 * `systemctl kill` send that signal to whole process trees. So it is held before anything else is loaded; an inspector that a signal has
 * opened in the moment before ends the command, because `inspector.close()` would wait for whoever is connected.
 */

import { fileURLToPath } from 'node:url'

process.on('SIGUSR1', () => {})
await endWhereInspected()
const { run } = await import('./command.js')
// A signal from before is acted on in a turn of the loop, of which the import has taken some.
await endWhereInspected()
await run(fileURLToPath(import.meta.url))

async function endWhereInspected(): Promise<void> {
  const { hasUninvitedInspector } = await import('../kit/uninvited-inspector.js')
  if (!(await hasUninvitedInspector())) return
  const { EXIT } = await import('../kit/failure.js')
  process.stderr.write(
    'daimyo: ended: SIGUSR1 came before it could be held, and opened the inspector of Node: start it again\n',
  )
  process.exit(EXIT.software)
}
