#!/bin/sh
//usr/bin/env true; exec node --inspect-port=192.0.2.1:1024 "$0" "$@"
/**
 * The first lines of every `daimyo` command, a master's included. To a shell they are a script, which starts Node; to
 * Node the second one is a comment.
 *
 * Node's answer to SIGUSR1 is an inspector on 127.0.0.1:9229, where any local user could run code as whoever runs the
 * command: root. Log rotations and `systemctl kill` send that signal to whole process trees. So the shell has the
 * inspector listen where nobody can connect (`kit/process/uninvited-inspector.ts`). Where this file was started without
 * it, the signal is held before anything else is loaded, and an inspector that a signal has opened in the moment before
 * ends the command.
 */

import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.on('SIGUSR1', () => {})
await endWhereInspected()
const { run } = await import('./command.js')
// A signal from before is handled in a turn of the loop, and the import has taken some turns.
await endWhereInspected()
await run(fileURLToPath(import.meta.url))

async function endWhereInspected(): Promise<void> {
  const { hasUninvitedInspector, INSPECTED_SIGNAL } = await import('../kit/process/uninvited-inspector.js')
  if (!hasUninvitedInspector()) return
  writeSync(
    2,
    'daimyo: ended: SIGUSR1 came before it could be held, and opened the inspector of Node: start it again\n',
  )
  process.kill(process.pid, INSPECTED_SIGNAL)
}
