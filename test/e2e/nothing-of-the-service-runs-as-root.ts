/**
 * Under a root master with `uid`, whoever owns the application's folder gains nothing: what they have Node or the C library load runs as the service's
 * user, nobody stands in a folder that is closed to it, and HOME and its like are that user's. Needs root; skipped without.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { systemProgram } from '../../kit/ground/system-path.js'
import { copyProgram, reachableCommand } from '../supervisor/fixtures/reachable-program.js'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, type WatchedOptions, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const skip = process.getuid?.() !== 0 && 'needs root'
const nobody = 65_534
const app = `require('node:http').createServer((request, response) => response.end(process.cwd())).listen(3000)`

/** Appends who runs it, and what for, to a file of everybody's beside it. */
const witness = (what: string) =>
  `require('node:fs').appendFileSync(__dirname + '/who', '${what} ' + process.getuid() + ' ' + process.geteuid() + '\\n')\n`

/** A site whose application lies in the folder `theirs` of the service's user; the INI and the run folder are root's. */
function theirSite(t: Test, lines: string[], options: WatchedOptions = {}): WatchedSite {
  const common = ['processes = 1', 'uid = nobody', 'app = %dtheirs/app.cjs']
  const site = new WatchedSite(t, [...common, ...lines], { app, ...options })
  chmodSync(site.folder, 0o755)
  mkdirSync(site.path('theirs'))
  renameSync(site.path('app.cjs'), site.path('theirs/app.cjs'))
  chownSync(site.path('theirs'), nobody, nobody)
  return site
}

function mayRaiseLimits(): boolean {
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return (BigInt(`0x${effective}`) & (1n << 24n)) !== 0n
}

/** The variables of a process. */
function environmentOf(pid: number | null): Record<string, string> {
  const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
  return Object.fromEntries(pairs.map(pair => pair.split(/=(.*)/s).slice(0, 2)))
}

/** What daimyo and its dependencies call, and what they might. */
const CALLED = 'env getconf id mkfifo prlimit ps rm setpriv sh systemctl systemd-notify taskset test'.split(' ')

t.test('no program that the PATH of the caller names is run as root', { skip }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'path-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  for (const name of CALLED) {
    writeFileSync(join(folder, name), `#!/bin/sh\n/bin/echo ${name} >> ${folder}/ran\n`, { mode: 0o755 })
  }
  const site = theirSite(t, ['max-fd = 4000', 'master-fifo = %dfifo', 'chdir = %dtheirs', 'exec-pre-app = true'], {
    environment: { PATH: folder },
  })
  const running = await site.serve()
  await until('memory is known', async () => ((await site.status()).workers[0]?.rssBytes ?? 0) > 0)
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.match(await site.run('doctor', site.ini), { code: /^[01]$/ })
  t.match(await site.end(running), { code: 0 })
  t.notOk(existsSync(join(folder, 'ran')))
})

t.test('what Node loads before the application is loaded by the user', { skip }, async t => {
  const site = theirSite(t, [
    'node-args = --import ./import.mjs --require ./required.cjs',
    'env-file = %dtheirs/variables',
    'chdir = %dtheirs',
    'http-processes = 1',
  ])
  writeFileSync(site.path('theirs/import.mjs'), `import './imported.cjs'\n`)
  for (const what of ['imported', 'required', 'by-variable'])
    writeFileSync(site.path(`theirs/${what}.cjs`), witness(what))
  writeFileSync(site.path('theirs/variables'), `NODE_OPTIONS=--require ${site.path('theirs/by-variable.cjs')}\n`)
  const running = await site.serve()
  t.same(
    site.read('theirs/who').trim().split('\n').toSorted(),
    ['by-variable', 'imported', 'required'].map(what => `${what} ${nobody} ${nobody}`),
  )
  t.match(await site.end(running), { code: 0 })
})

/** The dynamic linker writes a file for each program that it loads: whose it is says who ran it. */
const linkerLines = ['env-file = %dtheirs/linker', 'exec-pre-app = true', 'attach-daemon = sleep 1000']

t.test('no variable of theirs reaches a program that is still root', { skip }, async t => {
  const site = theirSite(t, [...linkerLines, 'chdir = %dtheirs'], { expected: [/daemon-exit name=sleep/] })
  mkdirSync(site.path('theirs/out'))
  chmodSync(site.path('theirs/out'), 0o777)
  writeFileSync(
    site.path('theirs/linker'),
    `LD_DEBUG=libs\nLD_DEBUG_OUTPUT=${site.path('theirs/out/ld')}\nPASSWORD=sesame\n`,
  )
  const running = await site.serve()
  const [worker] = (await site.status()).workers
  const told = readdirSync(site.path('theirs/out'))
  t.ok(told.length > 2, 'the hook, the daemon and the worker have loaded libraries')
  for (const name of told) t.equal(statSync(site.path(`theirs/out/${name}`)).uid, nobody, name)
  const environment = environmentOf(worker?.pid ?? 0)
  t.match(environment, { LD_DEBUG: 'libs', LD_DEBUG_OUTPUT: site.path('theirs/out/ld'), PASSWORD: 'sesame' })
  t.match(await site.end(running), { code: 0 })
})

t.test('an allocator of the application’s choice is preloaded', { skip }, async t => {
  const library = /\/\S*\/libm\.so\.6/.exec(execFileSync('ldd', [process.execPath], { encoding: 'utf8' }))?.[0] ?? ''
  const site = theirSite(t, [`env = LD_PRELOAD=${library}`, 'env = MALLOC_ARENA_MAX=2', 'env = TZ=Europe/Berlin'])
  const running = await site.serve()
  const [worker] = (await site.status()).workers
  const expected = { LD_PRELOAD: library, MALLOC_ARENA_MAX: '2', TZ: 'Europe/Berlin' }
  t.match(environmentOf(worker?.pid ?? 0), expected)
  t.match(await site.end(running), { code: 0 })
})

t.test('nobody stands in a folder that is closed to the user', { skip }, async t => {
  const site = theirSite(t, ['chdir = %dtheirs/home'], {
    expected: [
      /worker-exit .*(signal=SIGKILL|code=125 why=not-started)/,
      /worker-not-started .*cannot enter/,
      /env: cannot change directory/,
    ],
  })
  mkdirSync(site.path('theirs/home'))
  const closed = mkdtempSync(join(tmpdir(), 'closed-'))
  t.teardown(() => rmSync(closed, { recursive: true }))
  const running = await site.serve()
  t.equal((await ask(running.url, '/')).body, site.path('theirs/home'))
  renameSync(site.path('theirs/home'), site.path('theirs/before'))
  symlinkSync(closed, site.path('theirs/home'))
  const { workers } = await site.status()
  process.kill(workers[0]?.pid ?? 0, 'SIGKILL')
  await until('a worker could not be started there', () =>
    /cannot enter .*home as uid=nobody: EACCES/.test(running.out()),
  )
  rmSync(site.path('theirs/home'))
  renameSync(site.path('theirs/before'), site.path('theirs/home'))
  await site.untilReady()
  t.equal((await ask(running.url, '/')).body, site.path('theirs/home'))
  t.match(await site.end(running), { code: 0 })
})

t.test('a start from a folder that is closed to the user gives it to nobody', { skip }, async t => {
  const site = theirSite(t, ['http-processes = 2', 'chdir = %dtheirs'])
  const folder = mkdtempSync(join(tmpdir(), 'closed-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  site.workingFolder = join(folder, 'open')
  mkdirSync(site.workingFolder)
  const running = await site.serve()
  const { proxies } = await site.status()
  const folderOf = (pid: number | null) => readlinkSync(`/proc/${pid}/cwd`)
  t.same([running.pid, ...proxies.map(({ pid }) => pid)].map(folderOf), ['/', '/', '/'])
  t.match(await site.end(running), { code: 0 })
})

t.test('a start from a folder of everybody’s is where commands and proxies run', { skip }, async t => {
  const site = theirSite(t, ['exec-pre-app = pwd', 'http-processes = 1'])
  const running = await site.serve()
  const { proxies, workers } = await site.status()
  t.same(
    [...proxies, ...workers].map(({ pid }) => readlinkSync(`/proc/${pid}/cwd`)),
    [site.folder, site.folder],
  )
  t.match(running.out(), new RegExp(`exec-pre-app.*${site.folder}$`, 'm'))
  t.match(await site.end(running), { code: 0 })
})

t.test('HOME and its like are the user’s, in workers, proxies and hooks', { skip }, async t => {
  const site = theirSite(t, ['exec-pre-app = env > %dtheirs/hook.env', 'env = SHELL=/bin/dash', 'chdir = %dtheirs'], {
    environment: {
      HOME: '/root',
      USER: 'root',
      LOGNAME: 'root',
      SHELL: '/bin/bash',
      SUDO_USER: 'ali',
      XDG_RUNTIME_DIR: '/x',
    },
  })
  const running = await site.serve()
  const { workers, proxies } = await site.status()
  const [, , , , , home] = /^nobody:.*$/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[0].split(':') ?? []
  const theirs = { HOME: home, USER: 'nobody', LOGNAME: 'nobody' }
  const hook = Object.fromEntries(
    site
      .read('theirs/hook.env')
      .split('\n')
      .map(line => line.split(/=(.*)/s).slice(0, 2)),
  )
  for (const [who, environment] of [
    ['hook', hook],
    ['worker', environmentOf(workers[0]?.pid ?? 0)],
    ['proxy', environmentOf(proxies[0]?.pid ?? 0)],
  ] as const) {
    t.match(environment, theirs, who)
    t.notOk('SUDO_USER' in environment || 'XDG_RUNTIME_DIR' in environment, `${who}: nothing of root’s session`)
    t.equal(environment.SHELL === '/bin/dash', who !== 'proxy', `${who}: the INI goes before`)
  }
  t.match(await site.end(running), { code: 0 })
})

t.test('a number without an entry has no HOME', { skip }, async t => {
  const environmentOfRoot = { HOME: '/root', USER: 'root' }
  const lines = ['processes = 1', 'uid = 54321', 'gid = 54321']
  const site = new WatchedSite(t, lines, { app, environment: environmentOfRoot })
  chmodSync(site.folder, 0o755)
  const running = await site.serve()
  const environment = environmentOf((await site.status()).workers[0]?.pid ?? 0)
  t.same([environment.HOME, environment.USER], [undefined, undefined])
  t.match(await site.end(running), { code: 0 })
})

t.test('what needs root to be set arrives', { skip }, async t => {
  const hard = Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }))
  // A root without CAP_SYS_RESOURCE, as in containers, may not go beyond the hard limit either.
  const maxFd = hard + (mayRaiseLimits() ? 1 : 0)
  const site = theirSite(t, ['prio = -5', `max-fd = ${maxFd}`, 'umask = 027', 'cpu-affinity = 1'])
  const running = await site.serve()
  const { workers, proxies } = await site.status()
  for (const { pid } of [...workers, ...proxies]) {
    t.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), new RegExp(`^Max open files +${maxFd} +${maxFd} `, 'm'))
    t.equal(
      Number(
        readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ')[16],
      ),
      -5,
      'nice',
    )
    t.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Umask:\t0027$/m)
  }
  for (const task of readdirSync(`/proc/${workers[0]?.pid}/task`)) {
    const path = `/proc/${workers[0]?.pid}/task/${task}/status`
    if (existsSync(path)) t.match(readFileSync(path, 'utf8'), /^Cpus_allowed_list:\t\d+$/m, 'one CPU')
  }
  t.match(await site.end(running), { code: 0 })
})

t.test('a program that the user cannot reach is not started, and the doctor says so', { skip }, async t => {
  const closed = mkdtempSync(join(tmpdir(), 'daimyo-closed-'))
  t.teardown(() => rmSync(closed, { recursive: true }))
  const site = theirSite(t, [], { command: [process.execPath, copyProgram(closed)] })
  const reason = new RegExp(
    `uid=nobody cannot reach ${closed}/\\S+: ${closed} is closed to it \\(mode 0700, owner 0\\)`,
  )
  const { code, err } = await site.run(site.ini)
  t.equal(code, EXIT.permission)
  t.match(err, reason)
  t.match(err, /\/opt or \/usr\/local/)
  const doctor = await site.run('doctor', site.ini)
  t.match(doctor.out, reason)
  t.match(doctor.out, /^bad +reach/m)
  chmodSync(closed, 0o711)
  const running = await site.serve()
  t.match(await site.end(running), { code: 0 })
})

const mountable = 'unshare -m mount --bind /bin/false /bin/true'.split(' ')
const noMounts = skip || (spawnSync(mountable[0]!, mountable.slice(1)).status !== 0 && 'may not mount')

t.test('without setpriv of util-linux nothing is started, and the doctor says so', { skip: noMounts }, async t => {
  const hide = 'mount --bind /bin/false "$0" && exec "$@"'
  const hidden = ['unshare', '-m', '/bin/sh', '-c', hide, systemProgram('setpriv') ?? '']
  const site = theirSite(t, [], { command: [...hidden, ...reachableCommand()] })
  const reason = /setpriv of util-linux is not installed: it is needed to start programs as uid=nobody/
  const { code, err } = await site.run(site.ini)
  t.equal(code, EXIT.os)
  t.match(err, reason)
  t.match(err, /: install the package util-linux, or setpriv on Alpine$/m)
  const doctor = await site.run('doctor', site.ini)
  t.match(doctor.out, reason)
  t.match(doctor.out, /^bad +setpriv/m)
})
