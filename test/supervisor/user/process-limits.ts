/** Tests `supervisor/user/process-limits.ts`: what is said where no process is left. */

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { builtFile } from '../../../kit/ground/places.js'
import { findProcessLimits, type LimitsSystem } from '../../../supervisor/user/process-limits.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

/** A system with these files and dead children; each child has so many threads. */
function systemOf(files: Record<string, string>, children: Record<number, number> = {}, uid = 0): LimitsSystem {
  const stat = (path: string) => {
    const [, pid] = /^\/proc\/(\d+)\/stat$/.exec(path) ?? []
    return pid === undefined ? null : `${pid} (daimyo: w) Z 1) ${Number(pid) > 100 ? 'Z' : 'S'} 1 1 1`
  }
  return {
    uid,
    read: path => files[path] ?? stat(path),
    children: () => Object.keys(children).map(Number),
    threadsOf: pid => children[pid] ?? 0,
  }
}

const kernel = {
  '/proc/loadavg': '0.20 0.18 0.12 1/80 11206\n',
  '/proc/sys/kernel/threads-max': '31000\n',
  '/proc/sys/kernel/pid_max': '32768\n',
}
const unit = {
  ...kernel,
  '/proc/self/cgroup': '0::/system.slice/site.service\n',
  '/sys/fs/cgroup/system.slice/site.service/pids.max': '64\n',
  '/sys/fs/cgroup/system.slice/site.service/pids.current': '64\n',
  '/sys/fs/cgroup/system.slice/pids.max': 'max\n',
}
const NONE = 'no more processes are allowed (EAGAIN)'
const GROUP = 'pids.max of the cgroup /system.slice/site.service allows 64, 64 are in use'

const CASES: [title: string, system: LimitsSystem, why: string, remedy: string][] = [
  ['the unit has all that it may have', systemOf(unit), `${NONE}: ${GROUP}`, 'TasksMax in the unit'],
  [
    'dead children keep what it may have',
    systemOf(unit, { 50: 20, 101: 40, 102: 12 }),
    `${NONE}: ${GROUP}, dead children of the master keep 52`,
    'restart daimyo, which frees them, or TasksMax in the unit',
  ],
  ['some that are not reaped yet', systemOf(unit, { 101: 1, 102: 1 }), `${NONE}: ${GROUP}`, 'TasksMax in the unit'],
  [
    'a group above',
    systemOf({
      ...unit,
      '/sys/fs/cgroup/system.slice/site.service/pids.max': 'max',
      '/sys/fs/cgroup/system.slice/pids.max': '100',
      '/sys/fs/cgroup/system.slice/pids.current': '99',
    }),
    `${NONE}: pids.max of the cgroup /system.slice allows 100, 99 are in use`,
    'TasksMax in the unit',
  ],
  [
    'cgroups of version 1',
    systemOf({
      ...kernel,
      '/proc/self/cgroup': '9:name=systemd:/x\n8:pids:/a\n4:memory:/b:c\n0::/',
      '/sys/fs/cgroup/pids/a/pids.max': '5',
      '/sys/fs/cgroup/pids/a/pids.current': '5',
    }),
    `${NONE}: pids.max of the cgroup /a allows 5, 5 are in use`,
    'TasksMax in the unit',
  ],
  [
    'the system',
    systemOf({ ...kernel, '/proc/loadavg': '9.20 0.18 0.12 1/30900 11206\n' }),
    `${NONE}: kernel.threads-max allows 31000, 30900 are in use`,
    'sysctl kernel.threads-max',
  ],
  [
    'which one it is, is not known',
    systemOf(
      { ...kernel, '/proc/self/limits': 'Max processes             10                   20      processes \n' },
      {},
      1000,
    ),
    `${NONE}: RLIMIT_NPROC of uid 1000 allows 10, kernel.threads-max allows 31000, 80 are in use, kernel.pid_max allows 32768, 80 are in use`,
    'ulimit -u, or LimitNPROC in the unit, or sysctl kernel.threads-max, or sysctl kernel.pid_max',
  ],
  ['nothing is known', systemOf({}), NONE, ''],
]
for (const [title, system, why, remedy] of CASES) {
  t.test(title, async t => t.same(findProcessLimits(system), { why, remedy }))
}

/** The user nobody; root is not held to that limit. */
const NOBODY = 65534
const SCRIPT = `
import { spawnSync } from 'node:child_process'
const { spawnOwn } = await import(${JSON.stringify(builtFile('supervisor/user/own-children.js'))})
spawnSync('prlimit', ['--pid', String(process.pid), '--nproc=1'])
if (process.getuid() === 0) { process.setgid(${NOBODY}); process.setuid(${NOBODY}) }
spawnOwn('/bin/true', [], { stdio: 'ignore' }).on('error', ({ message }) => process.stdout.write(message))
`
t.test('a real one', async t => {
  const script = join(scratchFolder(t), 'script.mjs')
  writeFileSync(script, SCRIPT)
  const said = execFileSync(process.execPath, [script], { encoding: 'utf8' })
  t.match(
    said,
    /^spawn \/bin\/true EAGAIN: no more processes are allowed \(EAGAIN\): .*RLIMIT_NPROC of uid \d+ allows 1\b.*: .*ulimit -u/,
  )
})
