/** Tests `systemd/daimyo.service`: systemd accepts it, and it says what the program relies on. */

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EXIT } from '../../kit/failure.js'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'

function topFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

const unit = readFileSync(join(topFolder(), 'systemd/daimyo.service'), 'utf8')
const isMissing = spawnSync('systemd-analyze', ['--version']).status !== 0

t.test('systemd-analyze verify accepts it', { skip: isMissing && 'needs the package systemd' }, async t => {
  const folder = scratchFolder(t)
  const verify = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' })
  }
  // It complains about a program that is not installed: one that is everywhere stands in for it.
  const runnable = unit.replaceAll('/usr/local/bin/daimyo', '/bin/true')
  const { status, stdout, stderr } = verify('daimyo.service', runnable)
  t.match({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
  const wrong = verify('wrong.service', runnable.replace('Type=notify', 'Tpye=notify'))
  t.match(wrong.stderr, /Tpye/, 'it would have told')
})

const lines: [string, RegExp][] = [
  ['ready is when a worker answers', /^Type=notify$/m],
  ['the message comes from a child', /^NotifyAccess=all$/m],
  ['a reload tells the truth', /^ExecReload=\/usr\/local\/bin\/daimyo reload /m],
  ['only the master gets SIGTERM', /^KillMode=mixed$/m],
  ['a wrong INI is not tried again', new RegExp(`^RestartPreventExitStatus=.*\\b${EXIT.config}\\b`, 'm')],
  ['a start that fails is tried again for ever', /^StartLimitIntervalSec=0$/m],
  ['the commands find the master', /^RuntimeDirectory=daimyo\//m],
  ['V8 needs memory protection keys', /^SystemCallFilter=@system-service @pkey$/m],
]
for (const [title, line] of lines) t.match(unit, line, title)
t.notMatch(unit, /^MemoryDenyWriteExecute=/m, 'V8 compiles at run time')
