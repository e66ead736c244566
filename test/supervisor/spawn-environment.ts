/** What children find in their environment: `supervisor/spawn-environment.ts`. */

import t from 'tap'
import { cleanEnvironment, commandEnvironment, workerEnvironment } from '../../supervisor/spawn-environment.js'

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

const cases: [title: string, settings: Partial<Parameters<typeof commandEnvironment>[1]>, expected: object][] = [
  ['what unenv names is gone', { unenv: ['B', 'C'] }, { A: '1' }],
  ['nothing is', {}, { A: '1', B: '2' }],
  [
    'files say more, the later one goes before',
    {
      unenv: ['A'],
      environmentFiles: [
        { name: 'A', value: 'x' },
        { name: 'A', value: 'y' },
      ],
    },
    { A: 'y', B: '2' },
  ],
  [
    'files take away, env goes before them',
    {
      environmentFiles: [
        { name: 'A', value: null },
        { name: 'B', value: null },
      ],
      env: [{ name: 'B', value: '3' }],
    },
    { B: '3' },
  ],
]
for (const [title, settings, expected] of cases) {
  t.test(title, async t => {
    const plain = { unenv: [], environmentFiles: [], env: [] }
    t.same(commandEnvironment({ A: '1', B: '2' }, { ...plain, ...settings }), expected)
  })
}

t.test("the INI's variables win over the master's, the last one over the first, and our own over all", t => {
  const env = [
    { name: 'HOME', value: '/a' },
    { name: 'HOME', value: '/b' },
    { name: 'DAIMYO_SLOT', value: '9' },
  ]
  const settings = { unenv: [], environmentFiles: [], env }
  t.same(workerEnvironment({ HOME: '/home/site', PATH: '/bin' }, settings, 3, 2), {
    HOME: '/b',
    PATH: '/bin',
    DAIMYO_SLOT: '3',
    DAIMYO_GENERATION: '2',
  })
  t.end()
})
