/** Which line of the INI gets which socket of systemd: `supervisor/listen/socket-activation.ts`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readlinkSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import type { BoundAddress, ListenAddress } from '../../../kit/options/values/value-types.js'
import { assignSockets } from '../../../supervisor/listen/socket-activation.js'

const tcp = (port: number): BoundAddress => ({ kind: 'tcp', host: '0.0.0.0', port })
const unix = (path: string): BoundAddress => ({ kind: 'unix', path })
const named = (name: string): ListenAddress => ({ kind: 'passed', name })
const socket = (fd: number, name: string, address: BoundAddress | null, claims?: string[]) => ({
  fd,
  name,
  address,
  ...(claims !== undefined && { claims }),
})

const web = socket(3, 'web', tcp(80))
const webToo = socket(4, 'web', unix('/run/web.sock'))
const metrics = socket(5, 'metrics', tcp(9117))
const odd = socket(6, 'odd', null)
const doubtful = socket(7, 'app', null, ['/tmp/evil.sock', '/run/app.sock'])
const doubtfulToo = socket(8, 'other', null, ['/run/other.sock', '/run/app.sock'])

type Sockets = ReturnType<typeof socket>[]
const given: [string, ListenAddress[], ListenAddress | null, Sockets, [http: number[][], metrics: number | null]][] = [
  ['nothing passed', [tcp(80)], tcp(9117), [], [[[]], null]],
  ['by address', [unix('/run/web.sock'), tcp(80)], null, [web, webToo], [[[4], [3]], null]],
  ['by name: all of the unit', [named('web')], named('metrics'), [web, webToo, metrics], [[[3, 4]], 5]],
  ['by number', [named('4'), named('3')], null, [web, webToo], [[[4], [3]], null]],
  ['metrics by address', [named('web')], tcp(9117), [web, metrics], [[[3]], 5]],
  ['one passed, one to be opened', [tcp(80), tcp(81)], tcp(9117), [web], [[[3], []], null]],
  ['one of an unknown kind, by name', [named('odd')], null, [odd], [[[6]], null]],
  [
    'one with a forged path, by the line that asks for the true one',
    [unix('/run/app.sock')],
    null,
    [doubtful],
    [[[7]], null],
  ],
  ['one with a forged path, by name', [named('app')], null, [doubtful], [[[7]], null]],
]
for (const [title, listeners, forMetrics, sockets, expected] of given) {
  t.test(title, async t => {
    const assigned = assignSockets({ http: listeners, metrics: forMetrics }, sockets)
    t.same(
      assigned.http.map(found => found.map(({ fd }) => fd)),
      expected[0],
    )
    t.equal(assigned.metrics?.fd ?? null, expected[1])
  })
}

const refused: [string, ListenAddress[], ListenAddress | null, Sockets, RegExp][] = [
  [
    'no socket of the name',
    [named('wbe')],
    null,
    [web, webToo],
    /^cannot listen: http=fd:\/\/wbe: systemd passed no socket of this name: it passed web \(0\.0\.0\.0:80\), web \(\/run\/web\.sock\)$/,
  ],
  [
    'no socket at all',
    [tcp(80)],
    named('metrics'),
    [],
    /^cannot listen: metrics=fd:\/\/metrics: .*no socket at all: is the/,
  ],
  [
    'another address',
    [tcp(8080)],
    null,
    [web],
    /^cannot use a socket .*: web \(0\.0\.0\.0:80\): no line .*`http = fd:\/\/web`/,
  ],
  ['an unknown kind that nobody names', [tcp(80)], null, [web, odd], /: odd \(descriptor 6\): no line/],
  ['two for the metrics', [tcp(81)], named('web'), [web, webToo], /: web \(\/run\/web\.sock\): metrics is one socket/],
  [
    'two of which one has a forged path',
    [unix('/run/app.sock'), unix('/run/other.sock')],
    null,
    [doubtful, doubtfulToo],
    /^cannot listen: http=\/run\/app\.sock: app \(descriptor 7, with forged .*\) or other .*: accepted `http = fd:\/\/app`$/,
  ],
  ['one for two', [named('web')], named('web'), [web], /^cannot listen: metrics=fd:\/\/web: /],
]
for (const [title, listeners, forMetrics, sockets, message] of refused) {
  t.test(`refuses ${title}`, async t => {
    t.throws(() => assignSockets({ http: listeners, metrics: forMetrics }, sockets), { message, exitCode: EXIT.config })
  })
}

t.test('a descriptor that is no socket is told', async t => {
  const program = fileURLToPath(new URL('../fixtures/print-listeners.js', import.meta.url))
  const command = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null'
  const child = spawn('env', ['-i', '/bin/sh', '-c', command, 'sh', process.execPath, program, '[]'])
  t.match(await text(child.stderr), /cannot use LISTEN_FDS: descriptor 3: it is not a socket/)
})

t.test('a TCP socket is known by its own name, whatever another user writes into /proc/net/unix', async t => {
  const listening = createServer().listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { fd } = (listening as unknown as { _handle: { fd: number } })._handle
  const [, inode] = /\[(\d+)\]/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? []
  const forger = createServer().listen(`\0\n0: 00000002 00000000 00010000 0001 01 ${inode} /tmp/forged.sock`)
  await once(forger, 'listening')
  t.teardown(() => {
    listening.close()
    forger.close()
  })
  t.match(readFileSync('/proc/net/unix', 'latin1'), ` ${inode} /tmp/forged.sock`)
  const { port } = listening.address() as AddressInfo
  const program = fileURLToPath(new URL('../fixtures/print-listeners.js', import.meta.url))
  const command = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
  const address = JSON.stringify([{ kind: 'tcp', host: '127.0.0.1', port }])
  const child = spawn('env', ['-i', '/bin/sh', '-c', command, 'sh', process.execPath, program, address], {
    stdio: ['ignore', 'pipe', 'pipe', fd],
  })
  const [out, error] = await Promise.all([text(child.stdout!), text(child.stderr!)])
  t.equal(error, '')
  t.match(out, `http://127.0.0.1:${port}`)
})
