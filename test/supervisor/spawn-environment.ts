/** What children find in their environment: `supervisor/spawn-environment.ts`. */

import t from 'tap'
import { cleanEnvironment, withoutVariables, workerEnvironment } from '../../supervisor/spawn-environment.js'

const kept = ['PATH', 'HOME', 'NODE_OPTIONS', 'LISTEN_PORT', 'LISTEN', 'MY_NOTIFY_SOCKET', 'WATCHDOG', 'NODE_ENV']
const dropped = [
  'NOTIFY_SOCKET',
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'DAIMYO_INI',
  'DAIMYO_SLOT',
]

t.test('what is meant for the master stays with it', t => {
  const environment = Object.fromEntries([...kept, ...dropped].map(name => [name, 'x']))
  t.same(Object.keys(cleanEnvironment({ ...environment, UNSET: undefined })), kept)
  t.end()
})

t.test('what unenv names is gone', async t => {
  t.same(withoutVariables({ A: '1', B: '2' }, ['B', 'C']), { A: '1' })
  t.same(withoutVariables({ A: '1' }, []), { A: '1' })
})

t.test("the INI's variables win over the master's, the last one over the first, and our own over all", t => {
  const env = [
    { name: 'HOME', value: '/a' },
    { name: 'HOME', value: '/b' },
    { name: 'DAIMYO_SLOT', value: '9' },
  ]
  t.same(workerEnvironment({ HOME: '/home/site', PATH: '/bin' }, env, 3, 2), {
    HOME: '/b',
    PATH: '/bin',
    DAIMYO_SLOT: '3',
    DAIMYO_GENERATION: '2',
  })
  t.end()
})
