/** What children find in their environment: `supervisor/child/spawn-environment.ts`. */

import t from 'tap'
import {
  cleanEnvironment,
  commandEnvironment,
  userEnvironment,
  workerEnvironment,
} from '../../../supervisor/child/spawn-environment.js'

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
    const plain = { unenv: [], environmentFiles: [], env: [], credentials: null }
    t.same(commandEnvironment({ A: '1', B: '2' }, { ...plain, ...settings }), expected)
  })
}

t.test("the INI's variables win over the master's, the last one over the first, and our own over all", t => {
  const env = [
    { name: 'HOME', value: '/a' },
    { name: 'HOME', value: '/b' },
    { name: 'DAIMYO_SLOT', value: '9' },
  ]
  const settings = { unenv: [], environmentFiles: [], env, credentials: null, appPort: null }
  const place = { slot: 3, generation: 2, publicPort: 8080 }
  t.same(workerEnvironment({ HOME: '/home/site', PATH: '/bin' }, settings, place), {
    HOME: '/b',
    PATH: '/bin',
    PORT: '8080',
    DAIMYO_SLOT: '3',
    DAIMYO_GENERATION: '2',
  })
  t.end()
})

const ports: [title: string, environment: object, settings: object, publicPort: number | null, expected?: string][] = [
  ['the first public port', {}, {}, 8080, '8080'],
  ['app-port', {}, { appPort: '3000' }, 8080, '3000'],
  ['none that clients could use', {}, {}, null, '49153'],
  ['that of whoever started daimyo', { PORT: '4000' }, { appPort: '3000' }, 8080, '4000'],
  ['that of the INI', { PORT: '4000' }, { env: [{ name: 'PORT', value: '5000' }] }, 8080, '5000'],
  ['that of a file', {}, { environmentFiles: [{ name: 'PORT', value: '6000' }] }, 8080, '6000'],
  ['none, by unenv', { PORT: '4000' }, { unenv: ['PORT'], appPort: '3000' }, 8080, undefined],
]
t.test('PORT', t => {
  const plain = { unenv: [], environmentFiles: [], env: [], credentials: null, appPort: null }
  for (const [title, environment, settings, publicPort, expected] of ports) {
    const place = { slot: 1, generation: 1, publicPort }
    t.equal(workerEnvironment({ ...environment }, { ...plain, ...settings }, place).PORT, expected, title)
  }
  t.end()
})

const roots = {
  PATH: '/bin',
  HOME: '/root',
  USER: 'root',
  LOGNAME: 'root',
  SHELL: '/bin/bash',
  MAIL: '/var/mail/root',
  SUDO_USER: 'ali',
  SSH_AUTH_SOCK: '/tmp/agent',
  XDG_RUNTIME_DIR: '/run/user/0',
  DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/0/bus',
  MAILTO: 'ops',
  STATE_DIRECTORY: '/var/lib/site',
}
const neutral = { PATH: '/bin', MAILTO: 'ops', STATE_DIRECTORY: '/var/lib/site' }
const site = { user: 'site', uid: 33, gid: 33, home: '/var/www', shell: '/usr/sbin/nologin' }
const theirs = { HOME: '/var/www', USER: 'site', LOGNAME: 'site', SHELL: '/usr/sbin/nologin' }
const users: [title: string, credentials: Parameters<typeof userEnvironment>[1], expected: object][] = [
  ['who stays the same keeps all', null, roots],
  ['another user has what its entry says, and nothing of a session', site, { ...neutral, ...theirs }],
  ['a number without an entry has none of it', { user: null, uid: 4321, gid: 4321 }, neutral],
]
for (const [title, credentials, expected] of users) {
  t.test(title, async t => t.same(userEnvironment(roots, credentials), expected))
}

t.test('what the INI says goes before what the user’s entry says', async t => {
  const settings = {
    unenv: ['SHELL'],
    environmentFiles: [{ name: 'USER', value: null }],
    env: [{ name: 'HOME', value: '/srv/site' }],
    credentials: site,
  }
  t.same(commandEnvironment(roots, settings), { ...neutral, HOME: '/srv/site', LOGNAME: 'site' })
})
