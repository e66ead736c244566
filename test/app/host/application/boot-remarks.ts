/** Tests `app/host/application/boot-remarks.ts`: what a worker says that does not become ready. */

import { createServer as createHttp } from 'node:http'
import { createServer } from 'node:net'
import t from 'tap'
import { describeHandles, describeWait, startBootRemarks } from '../../../../app/host/application/boot-remarks.js'
import type { Taken } from '../../../../app/host/listen/take-over.js'

const nothing = { others: [], siteAddress: null } as unknown as Taken
const tcp = { address: '::', family: 'IPv6', port: 3000 }

const waits: [title: string, appPort: string | null, taken: object, expected: RegExp][] = [
  ['nothing was done', null, {}, /^it has not called listen on an HTTP server(;|$)/],
  ['another server listens', null, { others: ['TCP on :::3443'] }, /; it listens with TCP on :::3443(;|$)/],
  [
    'not on app-port',
    '8080',
    { others: ['HTTP on :::3000', 'HTTP/2 without HTTP/1.1 on :::3001'] },
    /^it has not called listen on app-port 8080; it listens with HTTP on :::3000, HTTP\/2 without HTTP\/1\.1 on :::3001/,
  ],
  ['it listens and loads', null, { siteAddress: tcp }, /^it listens on :::3000 and goes on loading/],
]
t.test('what has happened and what has not', async t => {
  for (const [title, appPort, taken, expected] of waits)
    t.match(describeWait({ appPort }, { ...nothing, ...taken } as Taken), expected, title)
})

const handles: [title: string, kinds: string[], expected: string][] = [
  ['nothing', [], ''],
  ['one timer', ['Timeout'], 'a timer'],
  ['several of a kind', ['Timeout', 'Timeout', 'TCPConnectWrap'], '2 timers, a connection that is being made'],
  ['what says nothing to anybody', ['PipeWrap', 'Immediate', 'TTYWrap'], ''],
  ['files and names', ['FSReqCallback', 'FSReqPromise', 'GetAddrInfoReqWrap'], 'a name to be looked up, 2 files'],
  ['a child and a thread', ['ProcessWrap', 'MessagePort'], 'a child process, a thread'],
]
t.test('what keeps the loop, in words', async t => {
  for (const [title, kinds, expected] of handles) t.equal(describeHandles(kinds), expected, title)
})

t.test('a connection is told with its peer', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const { connect } = await import('node:net')
  const socket = connect(port ?? 0, '127.0.0.1')
  await new Promise(resolve => socket.once('connect', resolve))
  t.match(describeHandles([]), new RegExp(`the connection with .*127\\.0\\.0\\.1:${port}`))
  socket.destroy()
})

t.test('it is said long before the time is over, and again when it has changed', async t => {
  const taken = { ...nothing, others: [] as string[] } as Taken & { others: string[] }
  const said: string[] = []
  await new Promise<void>(resolve => {
    const end = startBootRemarks(5, { appPort: null, isServed: () => false, waitReady: false }, taken, why => {
      said.push(why)
      taken.others.push('TCP on :::1')
      if (said.length < 2) return
      end()
      resolve()
    })
    // The looks themselves keep no process alive.
    const holder = createHttp().listen(0, '127.0.0.1')
    t.teardown(() => holder.close())
  })
  t.match(said, [/not called listen/, /TCP on :::1/])
})
