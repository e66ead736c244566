/** The text of the units: `supervisor/systemd/service-unit.ts`, and systemd's own opinion of it. */

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  quoteWord,
  serviceUnit,
  socketUnit,
  TEMPLATE_SERVICE,
  TEMPLATE_SOCKET,
} from '../../../supervisor/systemd/service-unit.js'
import { topFolder } from '../../e2e/fixtures/watched-site.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const words: [string, string][] = [
  ['/usr/bin/node', '/usr/bin/node'],
  ['/srv/100%/x', '/srv/100%%/x'],
  ['/srv/a b', '"/srv/a b"'],
  ['--env=A=$B', '--env=A=$$B'],
  ['say "no"\\', '"say \\"no\\"\\\\"'],
  ['a;b', '"a;b"'],
  ['', '""'],
]
for (const [word, expected] of words) t.test(`quotes ${word}`, async t => t.equal(quoteWord(word), expected))

const shipped: [string, string][] = [
  ['daimyo@.service', serviceUnit(TEMPLATE_SERVICE)],
  ['daimyo@.socket', socketUnit(TEMPLATE_SOCKET)],
]
for (const [name, expected] of shipped) {
  t.test(`systemd/${name} is printed by daimyo help`, async t => {
    t.equal(readFileSync(join(topFolder, 'systemd', name), 'utf8'), expected)
  })
}

const promised: [why: string, line: RegExp][] = [
  ['what trying again does not cure', /^RestartPreventExitStatus=77 78 64$/m],
  ['a failing start costs a fraction of a core', /^RestartSec=[3-9]s$/m],
  ['the journal has its name', /^SyslogIdentifier=daimyo$/m],
  ['the folder of the log is there', /^LogsDirectory=daimyo\nLogsDirectoryMode=0750$/m],
]
for (const [why, line] of promised) t.test(why, async t => t.match(serviceUnit(TEMPLATE_SERVICE), line))

t.test('no folder for a log that is elsewhere', async t => {
  t.notMatch(serviceUnit({ ...TEMPLATE_SERVICE, logsDirectory: null }), /LogsDirectory/)
})

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0
t.test('systemd finds no fault with the templates', { skip: !hasSystemd && 'needs the package systemd' }, async t => {
  const folder = scratchFolder(t)
  // Its program has to be there.
  const service = serviceUnit({ ...TEMPLATE_SERVICE, execStart: '/bin/true', execReload: '/bin/true' })
  writeFileSync(join(folder, 'daimyo@.service'), service)
  writeFileSync(join(folder, 'daimyo@.socket'), socketUnit(TEMPLATE_SOCKET))
  for (const name of ['daimyo@x.service', 'daimyo@x.socket']) {
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', join(folder, name)], { encoding: 'utf8' })
    t.same({ status, stderr }, { status: 0, stderr: '' }, name)
  }
  const { stdout } = spawnSync(
    'systemd-analyze',
    ['security', '--no-pager', '--offline=true', join(folder, 'daimyo@.service')],
    {
      encoding: 'utf8',
    },
  )
  const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1] ?? 10)
  t.ok(exposure <= 3.0, `exposed by ${exposure}`)
})
