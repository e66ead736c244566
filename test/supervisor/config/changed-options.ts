/** Tests of what a reload changes, and of what stays as it was until a restart. */

import t from 'tap'
import { changedOptions, meansTheSame, settingsAfterReload } from '../../../supervisor/config/changed-options.js'
import { readSettings } from '../../../supervisor/config/read-settings.js'
import type { Settings } from '../../../supervisor/config/values/settings.js'
import { memoryFiles } from './fixtures/memory-files.js'

function settingsOf(...lines: string[]): Settings {
  const text = ['[uwsgi]', 'http = :1', 'app = app.js', ...lines].join('\n')
  const files = memoryFiles({ '/srv/x.ini': text, '/srv/app.js': '', '/etc/passwd': 'a:x:1:2::/:\nb:x:3:4::/:\n' })
  const { settings, mistakes } = readSettings({
    iniPath: 'x.ini',
    flags: [],
    environment: {},
    cwd: '/srv',
    uid: 0,
    files,
  })
  if (settings === null) throw new Error(mistakes.map(({ message }) => message).join())
  return settings
}

const before = settingsOf()

const cases: [title: string, lines: string[], expected: [name: string, takesEffect: string][]][] = [
  ['nothing', [], []],
  ['a default that is written down', ['processes = 1', 'mount = /'], []],
  ['one that is live', ['processes = 2'], [['processes', 'live']]],
  ['one for new workers', ['env = A=1'], [['env', 'next-generation']]],
  ['one for a restart', ['http = :2'], [['http', 'restart']]],
  ['uid and gid are one change', ['uid = a', 'gid = 9'], [['uid', 'restart']]],
  [
    'one beside others of its kind',
    ['max-fd = 100', 'exec-asap = true'],
    [
      ['exec-asap', 'restart'],
      ['max-fd', 'restart'],
    ],
  ],
  ['a switch that is turned around', ['disable-logging'], [['disable-logging', 'live']]],
  ['what only confirms', ['master', 'die-on-term = false'], []],
  [
    'several, in the order of the table',
    ['vacuum', 'listen = 5', 'harakiri = 3'],
    [
      ['listen', 'restart'],
      ['harakiri', 'live'],
      ['vacuum', 'live'],
    ],
  ],
]
for (const [title, lines, expected] of cases) {
  t.test(title, async t => {
    const changed = changedOptions(before, settingsOf(...lines))
    t.same(
      changed.map(({ name, takesEffect }) => [name, takesEffect]),
      expected,
    )
    t.same(
      changedOptions(settingsOf(...lines), before).map(({ name }) => name),
      expected.map(([name]) => name),
      'and back',
    )
    t.equal(
      meansTheSame(before, settingsOf(...lines)),
      expected.every(([, takesEffect]) => takesEffect === 'restart'),
    )
  })
}

t.test('what needs a restart stays', async t => {
  const after = settingsOf('http = :2', 'uid = a', 'processes = 3', 'env = A=1')
  t.same(settingsAfterReload(before, after), { ...before, processes: 3, env: [{ name: 'A', value: '1' }] })
  t.same(settingsAfterReload(before, before), before)
})
