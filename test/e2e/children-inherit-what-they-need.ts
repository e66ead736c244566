/**
 * What workers, proxies and hooks inherit of the master: no capability, no descriptor but their own, no group, variable or session that is not theirs; limits,
 * umask and niceness as the INI has set them. `SECURITY.md` has the list.
 */

import { chmodSync, chownSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { ownCommand, reachableCommand } from '../supervisor/fixtures/reachable-program.js'
import { ask, skipWithout } from './fixtures/asking.js'
import { WatchedSite } from './fixtures/watched-site.js'

/** Answers with what a program that it starts has inherited in its turn. */
const app = `
const { execFile } = require('node:child_process')
require('node:http').createServer((request, response) => {
  execFile('/bin/sh', ['-c', 'ls /proc/$$/fd; grep ^Cap /proc/$$/status'], (error, out) => response.end(out))
}).listen(3000)
`

const status = (pid: number | null) => readFileSync(`/proc/${pid}/status`, 'latin1')
const fieldOf = (text: string, name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1]?.trim()

/** Inheritable, permitted, effective and ambient ones. */
const capabilitiesOf = (text: string) => ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map(name => fieldOf(text, name))
const NONE = Array.from({ length: 4 }, () => '0'.repeat(16))

/** What the descriptors of a process lead to; the numbers of pipes and sockets are the kernel's, so equal ones are one thing. */
function openOf(pid: number | null): Map<number, string> {
  const folder = `/proc/${pid}/fd`
  const found = new Map<number, string>()
  for (const fd of readdirSync(folder)) {
    try {
      found.set(Number(fd), readlinkSync(`${folder}/${fd}`))
    } catch {
      // ENOENT: it was closed meanwhile.
    }
  }
  return found
}

async function inspect(t: Test, site: WatchedSite, master: number, what: (pid: number, name: string) => void) {
  const { workers, proxies } = await site.status()
  for (const { pid } of workers) what(pid ?? 0, 'worker')
  for (const { pid } of proxies) what(pid ?? 0, 'proxy')
  t.ok(master > 0)
}

/** The links of both ends of each connection on the loopback. */
function otherEnds(): Map<string, string> {
  const inodes = new Map<string, string>()
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/)
    if (inode !== undefined) inodes.set(`${local} ${remote}`, inode)
  }
  return new Map(
    [...inodes].map(([ends, inode]) => {
      const [local, remote] = ends.split(' ')
      return [`socket:[${inode}]`, `socket:[${inodes.get(`${remote} ${local}`)}]`]
    }),
  )
}

t.test('descriptors, session, variables', async t => {
  const lines = [
    'processes = 2',
    'logto = %dsite.log',
    'metrics = 127.0.0.1:0',
    'master-fifo = %dfifo',
    'pidfile = %dpid',
  ]
  const environment = { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '1', LISTEN_FDNAMES: 'x', DAIMYO_INI: 'x' }
  const site = new WatchedSite(t, [...lines, 'exec-pre-app = exec > %dhook.fds; ls -l /proc/$$/fd'], {
    app,
    environment,
    expected: [/notify-failed/],
  })
  const running = await site.serve()
  const ofMaster = openOf(running.pid)
  const listeners = new Set([...ofMaster.values()].filter(link => link.startsWith('socket:')))
  await inspect(t, site, running.pid, (pid, name) => {
    const ofMaster = openOf(running.pid)
    const shared = [...openOf(pid)].filter(([, link]) => [...ofMaster.values()].includes(link))
    const kernels = shared.filter(([, link]) => /^(pipe|socket):/.test(link))
    // A proxy has the public listener, behind its channel; nobody else has any of it.
    t.same(
      kernels.map(([fd]) => fd),
      name === 'proxy' ? [5] : [],
      `${name} ${pid}: ${JSON.stringify(kernels)}`,
    )
    t.ok(kernels.every(([, link]) => listeners.has(link)))
    // The master has the other end of each: of TCP, over which no descriptor can be sent.
    const others = otherEnds()
    const pipes = [...openOf(pid)]
      .filter(([, link]) => [...ofMaster.values()].includes(others.get(link) ?? ''))
      .map(([fd]) => fd)
    t.same(pipes, name === 'proxy' ? [2, 3, 4] : [1, 2, 3, 4], `${name}: its pipes`)
    const [, , , session] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')
    t.equal(Number(session), pid, `${name}: a session of its own`)
    const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map(pair => pair.split('=')[0])
    const masters = names.filter(name => /^(NOTIFY_|WATCHDOG_|LISTEN_|DAIMYO_INI)/.test(name ?? ''))
    t.same(masters, [], `${name}: nothing that is said to the master alone`)
  })
  const grandchild = (await ask(running.url, '/')).body.split('\n').filter(line => /^\d+$/.test(line))
  t.same(grandchild, ['0', '1', '2'], 'what an application starts gets the standard streams')
  const ofHook = [...site.read('hook.fds').matchAll(/ (\d+) -> /g)].map(([, fd]) => fd)
  t.same(ofHook, ['0', '1', '2'], `a hook: ${site.read('hook.fds')}`)
  t.match(await site.end(running), { code: 0 })
})

for (const NODE_OPTIONS of ['', '--no-warnings']) {
  t.test(`a descriptor that the caller left open goes no further than the master: "${NODE_OPTIONS}"`, async t => {
    // Far above the others: of a contiguous row Node itself takes care.
    const leaking = ['/bin/bash', '-c', 'exec 77</etc/passwd; exec "$@"', 'leaking', ...ownCommand]
    const environment: Record<string, string> = NODE_OPTIONS === '' ? {} : { NODE_OPTIONS }
    const site = new WatchedSite(t, ['processes = 1'], { app, command: leaking, environment })
    const running = await site.serve()
    await inspect(t, site, running.pid, (pid, name) => t.notOk(openOf(pid).has(77), name))
    t.notMatch((await ask(running.url, '/')).body, /^77$/m, 'nor does what an application starts have it')
    t.match(await site.end(running), { code: 0 })
  })
}

t.test('limits, umask, niceness and the rest are the master’s', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'umask = 027', 'prio = 3', 'max-fd = 1000'], { app })
  const running = await site.serve()
  const inherited = ['Umask', 'NoNewPrivs', 'Seccomp', 'Cpus_allowed_list']
  const files = ['limits', 'oom_score_adj', 'cgroup']
  await inspect(t, site, running.pid, (pid, name) => {
    for (const field of inherited)
      t.equal(fieldOf(status(pid), field), fieldOf(status(running.pid), field), `${name}: ${field}`)
    for (const file of files) {
      const read = (of: number) => readFileSync(`/proc/${of}/${file}`, 'utf8')
      t.equal(read(pid), read(running.pid), `${name}: ${file}`)
    }
    t.equal(
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ')[16],
      '3',
      `${name}: nice`,
    )
  })
  t.equal(fieldOf(status(running.pid), 'Umask'), '0027')
  t.match(await site.end(running), { code: 0 })
})

/** A port below 1024 that is free. */
async function freeLowPort(): Promise<number> {
  for (let port = 1023; port > 600; port--) {
    const server = createServer()
    const isFree = await new Promise<boolean>(resolve => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    await new Promise(resolve => server.close(resolve))
    if (isFree) return port
  }
  throw new Error('no port below 1024 is free')
}

const skip = process.getuid?.() !== 0 && 'needs root'
const nobody = 65_534

t.test('the capability to bind low ports stays with the master', { skip }, async t => {
  if (readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').trim() !== '1024') {
    t.comment('here everybody may bind low ports')
  }
  const { skip } = await skipWithout('setpriv', 'util-linux')
  t.notOk(skip)
  const port = await freeLowPort()
  const given = ['--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service']
  const become = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', ...given]
  const lines = [
    'processes = 1',
    `http = 127.0.0.1:${port}`,
    'exec-pre-app = grep ^Cap /proc/$$/status > %dhook.caps',
    'env-file = %dlinker',
  ]
  const site = new WatchedSite(t, lines, { app, command: [...become, ...reachableCommand()] })
  chmodSync(site.folder, 0o755)
  chownSync(site.folder, nobody, nobody)
  // Setpriv still has the capability: the C library must not be told there what to load.
  writeFileSync(site.path('linker'), `LD_DEBUG=files\nLD_DEBUG_OUTPUT=${site.path('ld')}\n`)
  const running = await site.serve()
  t.equal(running.url, `http://127.0.0.1:${port}`)
  t.equal(fieldOf(status(running.pid), 'CapAmb'), '0000000000000400', 'the master has it')
  await inspect(t, site, running.pid, (pid, name) => t.same(capabilitiesOf(status(pid)), NONE, name))
  t.same(capabilitiesOf(site.read('hook.caps')), NONE, 'a hook')
  t.same(capabilitiesOf((await ask(running.url, '/')).body), NONE, 'what an application starts')
  const loaded = readdirSync(site.folder).filter(name => name.startsWith('ld.'))
  t.ok(loaded.length > 0)
  for (const name of loaded) t.notMatch(site.read(name), /libcap-ng/, 'the linker told of setpriv')
  t.match(await site.end(running), { code: 0 })
})

t.test('a user’s processes have no capability and no group of root’s', { skip }, async t => {
  const site = new WatchedSite(t, ['processes = 1', 'uid = nobody'], { app })
  chmodSync(site.folder, 0o755)
  const running = await site.serve()
  await inspect(t, site, running.pid, (pid, name) => {
    t.same(capabilitiesOf(status(pid)), NONE, name)
    t.same(fieldOf(status(pid), 'Groups')?.split(' '), [String(nobody)], name)
  })
  t.match(await site.end(running), { code: 0 })
})

t.test('a root without uid keeps what it has', { skip }, async t => {
  const site = new WatchedSite(t, ['processes = 1'], { app, command: ownCommand })
  const running = await site.serve()
  await inspect(t, site, running.pid, (pid, name) => {
    t.same(capabilitiesOf(status(pid)), capabilitiesOf(status(running.pid)), name)
  })
  t.match(await site.end(running), { code: 0 })
})
