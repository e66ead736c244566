/** Tests `supervisor/systemd/notify.ts`: with a program that writes down what it was told, and with the real one on a real socket. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createNotifier } from '../../../supervisor/systemd/notify.js'
import { until } from '../../e2e/fixtures/watched-site.js'
import { receiveNotifications, whyNoReceiver } from '../fixtures/notify-receiver.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

/** A notifier whose program appends its arguments, one message a line, to `record`, after running `first`. */
function makeNotifier(folder: string, first = '', deadlineMs = 5000) {
  const record = join(folder, 'record')
  const program = join(folder, 'notify')
  writeFileSync(
    program,
    `#!/bin/sh\n${first}\nprintf '%s|' "$NOTIFY_SOCKET" "$@" >> '${record}'\necho >> '${record}'\n`,
  )
  chmodSync(program, 0o755)
  const events: string[] = []
  const environment = { NOTIFY_SOCKET: '/run/s', PATH: process.env.PATH, SECRET: 'x' }
  const notifier = createNotifier({ environment, program, deadlineMs, log: event => events.push(event) })
  return { notifier, events, told: () => readFileSync(record, 'utf8').trimEnd().split('\n') }
}

t.test('messages go out in order, with what systemd needs', async t => {
  const { notifier, told, events } = makeNotifier(scratchFolder(t))
  notifier.ready('2 workers')
  notifier.reloading()
  notifier.stopping()
  await notifier.settled()
  const [ready, reloading, stopping] = told()
  t.equal(ready, `/run/s|READY=1|MAINPID=${process.pid}|STATUS=2 workers|`)
  t.match(reloading, /^\/run\/s\|RELOADING=1\|MONOTONIC_USEC=\d+\|STATUS=reloading\|$/)
  t.equal(stopping, '/run/s|STOPPING=1|STATUS=stopping|')
  t.same(events, [])
})

t.test('the watchdog is fed and time is asked for in microseconds', async t => {
  const { notifier, told } = makeNotifier(scratchFolder(t))
  notifier.watchdog()
  notifier.extend(1500.4)
  await notifier.settled()
  t.same(told(), ['/run/s|WATCHDOG=1|', '/run/s|EXTEND_TIMEOUT_USEC=1500000|'])
})

t.test('the time of a reload is the monotonic clock in microseconds', async t => {
  const { notifier, told } = makeNotifier(scratchFolder(t))
  const before = process.hrtime.bigint()
  notifier.reloading()
  const after = process.hrtime.bigint()
  await notifier.settled()
  const sent = BigInt(/MONOTONIC_USEC=(\d+)/.exec(told()[0] ?? '')?.[1] ?? 0) * 1000n
  t.ok(sent >= before - 1000n && sent <= after, `before=${before} sent=${sent} after=${after}`)
})

t.test('what waits is bounded: the newest of a kind, in the order of the newest', async t => {
  const { notifier, told } = makeNotifier(scratchFolder(t))
  notifier.status('first')
  for (let count = 0; count < 100; count++) notifier.status(`status ${count}`)
  notifier.reloading()
  notifier.ready('done')
  notifier.status('last\nREADY=1\u0000')
  await notifier.settled()
  t.match(told(), [/STATUS=first/, /RELOADING=1/, /READY=1/, /STATUS=last READY=1 \|$/])
  t.equal(told().length, 4)
})

t.test('without a socket nothing is started', async t => {
  const events: string[] = []
  const notifier = createNotifier({ environment: {}, program: '/nonexistent', log: event => events.push(event) })
  notifier.ready('up')
  await notifier.settled()
  t.same(events, [])
})

const broken: [string, (folder: string) => ReturnType<typeof makeNotifier>][] = [
  ['fails', folder => makeNotifier(folder, 'exit 3')],
  ['never ends', folder => makeNotifier(folder, 'exec sleep 600', 50)],
]
for (const [title, make] of broken) {
  t.test(`a program that ${title} is logged once and hinders nothing`, async t => {
    const { notifier, events } = make(scratchFolder(t))
    notifier.ready('up')
    notifier.stopping()
    await notifier.settled()
    t.same(events, ['notify-failed'])
  })
}

for (const signal of ['HUP', 'USR1', 'TERM']) {
  t.test(`a SIG${signal} for the master that takes the program loses no message`, async t => {
    const folder = scratchFolder(t)
    const { notifier, told, events } = makeNotifier(folder, `mkdir '${folder}/seen' 2>/dev/null && kill -${signal} $$`)
    notifier.reloading()
    notifier.ready('up')
    await notifier.settled()
    t.match(told(), [/RELOADING=1/, /READY=1/])
    t.same(events, [])
  })
}

t.test('a program that a signal takes every time is logged once', async t => {
  const { notifier, events } = makeNotifier(scratchFolder(t), 'kill -HUP $$')
  notifier.ready('up')
  await notifier.settled()
  t.same(events, ['notify-failed'])
})

t.test('a program that is missing is logged once and hinders nothing', async t => {
  const events: string[] = []
  const environment = { NOTIFY_SOCKET: '/run/s' }
  const notifier = createNotifier({ environment, program: '/nonexistent', log: event => events.push(event) })
  notifier.ready('up')
  notifier.stopping()
  await notifier.settled()
  t.same(events, ['notify-failed'])
})

t.test('the real systemd-notify delivers it', { skip: whyNoReceiver() }, async t => {
  const { path, told } = await receiveNotifications(t)
  const events: string[] = []
  const notifier = createNotifier({ environment: { NOTIFY_SOCKET: path }, log: event => events.push(event) })
  notifier.ready('2 workers')
  await notifier.settled()
  await until('it has arrived', () => told().length > 0)
  t.same(told(), [`READY=1 MAINPID=${process.pid} STATUS=2 workers`])
  t.same(events, [])
})
