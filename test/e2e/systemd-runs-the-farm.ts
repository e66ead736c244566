/**
 * Under a real systemd, booted in namespaces of this test: the printed unit serves the bundled application, the templates do what they say, systemd
 * hears the truth, and sockets of systemd refuse nobody. Where none can be booted the test says so; what is left then are the units under
 * `systemd-analyze` and a notify socket of our own (`test/supervisor/systemd/service-unit.ts`, `test/supervisor/systemd/notify.ts`).
 */

import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { StatusReport } from '../../supervisor/control/control-protocol.js'
import { BootedSystemd, whyNoSystemd } from './fixtures/booted-systemd.js'
import { timeFactor, until } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const why = whyNoSystemd()
const program = '/opt/daimyo/dist/supervisor/daimyo.js'
const site = 'daimyo@site.service'
const patienceMs = 60_000

const goodApp = `require('node:http').createServer((request, response) => {
  setTimeout(() => response.end('by ' + process.pid), request.url === '/slow' ? 6000 : 0)
}).listen(1)`

if (why === false) await withSystemd()
else
  t.test(
    `no systemd was booted, it ${why}: see test/supervisor/systemd/service-unit.ts and notify.ts for what was tested`,
    async () => {},
  )

async function withSystemd(): Promise<void> {
  const host = await BootedSystemd.boot(t)
  const { out: version } = await host.run('systemctl', '--version')
  t.comment(`a real ${version.split('\n')[0]}, in namespaces`)
  // As an installation has it; the shebang would look for node in systemd's PATH.
  host.write('/usr/local/bin/daimyo', `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`)
  await host.run('chmod', '755', '/usr/local/bin/daimyo')

  await t.test('the printed unit serves the bundled application, and is exposed by 3.0 at most', t => farm(t, host))
  await t.test('the templates pass systemd-analyze', t => templates(t, host))
  await t.test('sockets of systemd refuse nobody', t => sockets(t, host))
  await t.test('the capability to bind low ports stays with the master', t => capabilities(t, host))
  await t.test('a signal to all processes of the unit is the master’s alone', t => signalToAll(t, host))
  await t.test('a reload that fails is told', t => failedReload(t, host))
  await t.test('a reload by signal is told, too', t => reloadBySignal(t, host))
  await t.test('the watchdog bites when no worker answers, not when one does', t => watchdog(t, host))
  await t.test('a stop may take longer than the unit says', t => longStop(t, host))
  await t.test('a master that is killed is back, and one that was told to stop is not', t => ends(t, host))
  await t.test('a socket that does not fit is told once', t => mismatch(t, host))
}

async function farm(t: Test, host: BootedSystemd): Promise<void> {
  t.match(await host.run('daimyo', 'systemd', '/opt/daimyo/conf/farm.ini', '/etc/systemd/system'), {
    code: 0,
    out: /\/etc\/systemd\/system\/farm\.service\n.*farm\.socket\n.*farm-metrics\.socket\n/,
  })
  t.same(await host.run('systemd-analyze', 'verify', '/etc/systemd/system/farm.service'), { code: 0, out: '' })
  await systemctl(t, host, 'daemon-reload')
  await systemctl(t, host, 'start', 'farm')
  const { StatusText, ActiveState, MainPID } = await host.show('farm', 'StatusText', 'ActiveState', 'MainPID')
  t.equal(ActiveState, 'active')
  t.equal(StatusText, 'generation 1: 2 of 2 workers ready, 1 proxy, http://127.0.0.1:8080')
  t.equal(String((await statusOf(host, '/opt/daimyo/conf/farm.ini')).pid), MainPID)
  for (const [url, content] of [
    ['http://127.0.0.1:8080/', /<html/i],
    ['http://127.0.0.1:8080/api/v1/_about', /"name":"farm"/],
    ['http://127.0.0.1:9117/metrics', /daimyo_build_info/],
  ] as const) {
    t.match(await host.run('curl', '-sS', url), { code: 0, out: content }, url)
  }
  t.ok((await exposureOf(host, 'farm.service')) <= 3.0, 'systemd-analyze security')
  const { out } = await host.run('daimyo', 'doctor', '/opt/daimyo/conf/farm.ini')
  t.match(out, /^ok +master +runs with pid \d+, 2 of 2 workers ready$/m)
  t.match(out, /^ok +stop timeout .*\n(.*\n)*ok +KillMode +mixed$/m)
  t.match(out, /^ok +systemd unit +farm\.service$/m)
  t.notMatch(out, /^bad/m)
  await systemctl(t, host, 'stop', 'farm')
}

async function templates(t: Test, host: BootedSystemd): Promise<void> {
  for (const name of ['daimyo@.service', 'daimyo@.socket']) {
    await host.run('cp', `/opt/daimyo/systemd/${name}`, '/etc/systemd/system/')
  }
  host.write('/srv/site/app.cjs', goodApp)
  writeIni(host)
  host.write(
    '/etc/systemd/system/site-metrics.socket',
    `[Socket]\nListenStream=/run/metrics.sock\nFileDescriptorName=metrics\nService=${site}\n`,
  )
  await systemctl(t, host, 'daemon-reload')
  t.same(await host.run('systemd-analyze', 'verify', site, 'daimyo@site.socket'), { code: 0, out: '' })
  t.ok((await exposureOf(host, site)) <= 3.0, 'systemd-analyze security')
}

async function sockets(t: Test, host: BootedSystemd): Promise<void> {
  await systemctl(t, host, 'start', 'daimyo@site.socket', 'site-metrics.socket')
  t.equal((await host.show(site, 'ActiveState')).ActiveState, 'inactive', 'nobody has asked yet')
  const knocking = startKnocking(host, 'http://127.0.0.1:8080/')
  await until('the first client has started it', () => isActive(host), patienceMs)
  const before = await statusOf(host)
  await systemctl(t, host, 'reload', site)
  t.match(await statusOf(host), { pid: before.pid, generation: 2 })
  for (let count = 0; count < 2; count++) await systemctl(t, host, 'restart', site)
  t.not((await statusOf(host)).pid, before.pid)
  const scrape = await host.run('curl', '-sS', '--unix-socket', '/run/metrics.sock', 'http://localhost/metrics')
  t.match(scrape, { code: 0, out: /daimyo_build_info/ })
  const { answered, failures } = await knocking()
  t.comment(`${answered} answers`)
  t.same(failures, [])
  t.ok(answered > 100, `${answered} answers`)
}

/** Also under the unit's filter of system calls. */
async function capabilities(t: Test, host: BootedSystemd): Promise<void> {
  const { pid, workers, proxies } = await statusOf(host)
  const read = async (pid: number | null) =>
    [...(await host.run('grep', '^Cap', `/proc/${pid}/status`)).out.matchAll(/^Cap(Inh|Prm|Eff|Amb):\t(\w+)$/gm)].map(
      ([, , set]) => Number(`0x${set}`),
    )
  t.same(await read(pid), [0x400, 0x400, 0x400, 0x400], 'the master')
  for (const { pid } of [...workers, ...proxies]) t.same(await read(pid), [0, 0, 0, 0])
  t.match((await host.run('cat', `/proc/${pid}/limits`)).out, /^Max core file size +0 +0 /m, 'no core is written')
}

async function signalToAll(t: Test, host: BootedSystemd): Promise<void> {
  const pidsOf = async () => {
    const { pid, workers, proxies } = await statusOf(host)
    return [pid, ...workers.map(({ pid }) => pid), ...proxies.map(({ pid }) => pid)]
  }
  const before = await pidsOf()
  const slow = host.run('curl', '-sS', '-X', 'POST', '-d', 'x', 'http://127.0.0.1:8080/slow')
  await until('it is in flight', async () => (await statusOf(host)).workers.some(({ inFlight }) => inFlight > 0))
  for (const signal of ['USR1', 'USR2', 'WINCH']) {
    await systemctl(t, host, 'kill', `--signal=${signal}`, site)
    t.same(await pidsOf(), before, signal)
  }
  t.notMatch((await host.run('ss', '-ltn')).out, /:9229/, 'no inspector')
  t.match(await slow, { code: 0, out: /^by \d+$/ })
  t.same((await host.show(site, 'ActiveState')).ActiveState, 'active')
}

async function failedReload(t: Test, host: BootedSystemd): Promise<void> {
  const knocking = startKnocking(host, 'http://127.0.0.1:8080/')
  host.write('/srv/site/app.cjs', "console.log('<0>no emergency'); throw new Error('no database')")
  t.not((await host.run('systemctl', 'reload', site)).code, 0, 'systemctl fails')
  t.match(await host.show(site, 'ActiveState', 'StatusText'), {
    ActiveState: 'active',
    StatusText: /^generation 1: 2 of 2 workers ready, .*; the last reload failed: .*no database/,
  })
  host.write('/srv/site/app.cjs', goodApp)
  await systemctl(t, host, 'reload', site)
  t.match(await host.show(site, 'StatusText'), { StatusText: /^generation 3: 2 of 2 workers ready, 1 proxy, \S+$/ })
  const { answered, failures } = await knocking()
  t.same(failures, [])
  t.ok(answered > 0)
  const said = await priorities(host)
  for (const [priority, message] of [
    ['3', / reload-failed generation=1 /],
    ['3', /^no emergency$/],
    ['6', / worker-ready slot=1 /],
    ['6', / reload-done generation=3$/],
  ] as const)
    t.ok(
      said.some(line => line.priority === priority && message.test(line.message)),
      `${message} has priority ${priority}`,
    )
  t.notOk(said.some(({ priority, message }) => priority < '3' || message.startsWith('<')))
}

/** The journal's lines of the site, as journald took them. */
async function priorities(host: BootedSystemd): Promise<{ priority: string; message: string }[]> {
  const { out } = await host.run('journalctl', '-u', site, '-t', 'daimyo', '-o', 'json', '--no-pager')
  return out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { PRIORITY: string; MESSAGE: string })
    .map(({ PRIORITY, MESSAGE }) => ({ priority: PRIORITY, message: MESSAGE }))
}

async function reloadBySignal(t: Test, host: BootedSystemd): Promise<void> {
  host.write('/srv/site/app.cjs', `setTimeout(() => {${goodApp}}, 500)`)
  await host.run('systemctl', 'kill', '--signal=HUP', '--kill-who=main', site)
  await until('systemd knows that it reloads', async () => {
    return (await host.show(site, 'ActiveState')).ActiveState === 'reloading'
  })
  await until('and that it serves again', () => isActive(host), patienceMs)
  t.match(await host.show(site, 'StatusText'), { StatusText: /^generation 4: 2 of 2 workers ready/ })
  host.write('/srv/site/app.cjs', goodApp)
}

async function watchdog(t: Test, host: BootedSystemd): Promise<void> {
  await dropIn(t, host, 'WatchdogSec=2')
  await systemctl(t, host, 'restart', site)
  const { pid, workers } = await statusOf(host)
  const [first, second] = workers.map(worker => String(worker.pid))
  await host.run('kill', '-STOP', first ?? '')
  // More than a period without a sign of the one that stands still.
  const before = await monotonicOf(host)
  await until('more than a period is over', async () => (await monotonicOf(host)) - before > 2.5, patienceMs)
  t.match(await host.show(site, 'MainPID', 'NRestarts'), { MainPID: String(pid), NRestarts: '0' })
  await host.run('kill', '-STOP', second ?? '')
  await until(
    'systemd has started it anew',
    async () => {
      const { MainPID, NRestarts } = await host.show(site, 'MainPID', 'NRestarts')
      return MainPID !== String(pid) && NRestarts === '1' && (await isActive(host))
    },
    patienceMs,
  )
  t.match(await host.journal(site), /Watchdog timeout/)
}

async function longStop(t: Test, host: BootedSystemd): Promise<void> {
  await dropIn(t, host, 'TimeoutStopSec=1', 'WatchdogSec=150')
  await systemctl(t, host, 'restart', site)
  const slow = host.run('curl', '-sS', 'http://127.0.0.1:8080/slow')
  await until('it is in flight', async () => (await statusOf(host)).workers.some(({ inFlight }) => inFlight > 0))
  await systemctl(t, host, 'stop', site, 'daimyo@site.socket', 'site-metrics.socket')
  t.match(await slow, { code: 0, out: /^by \d+$/ })
  t.match(await host.show(site, 'Result', 'ActiveState'), { Result: 'success', ActiveState: 'inactive' })
}

async function ends(t: Test, host: BootedSystemd): Promise<void> {
  await systemctl(t, host, 'start', 'daimyo@site.socket', 'site-metrics.socket', site)
  const { pid } = await statusOf(host)
  const before = await monotonicOf(host)
  await host.run('kill', '-KILL', String(pid))
  await until(
    'another master serves',
    async () => {
      const report = await statusOf(host)
      return report.pid !== pid && (await isActive(host))
    },
    patienceMs,
  )
  t.comment(`back after ${Math.round(((await monotonicOf(host)) - before) * 1000)} ms`)
  await systemctl(t, host, 'stop', 'daimyo@site.socket', 'site-metrics.socket')
  t.equal((await host.run('daimyo', 'stop', '/etc/daimyo/site.ini')).code, 0)
  await until('it is at rest', async () => (await host.show(site, 'ActiveState')).ActiveState === 'inactive')
  t.match(await host.show(site, 'Result', 'ExecMainStatus'), { Result: 'success', ExecMainStatus: '0' })
}

async function mismatch(t: Test, host: BootedSystemd): Promise<void> {
  await systemctl(t, host, 'reset-failed')
  writeIni(host, 'http = fd://web')
  await systemctl(t, host, 'start', 'daimyo@site.socket', 'site-metrics.socket')
  t.not((await host.run('systemctl', 'start', site)).code, 0)
  const { ExecMainStatus, NRestarts } = await host.show(site, 'ExecMainStatus', 'NRestarts')
  t.equal(ExecMainStatus, '78')
  t.equal(NRestarts, '0', 'a mistake is not tried again')
  t.match(
    await host.journal(site),
    /cannot listen: http=fd:\/\/web: systemd passed no socket of this name: it passed .*http \(0\.0\.0\.0:8080\)/,
  )
}

function writeIni(host: BootedSystemd, http = 'http = fd://http'): void {
  const lines = [
    '[uwsgi]',
    'app = /srv/site/app.cjs',
    http,
    'metrics = fd://metrics',
    'processes = 2',
    'lazy-apps = true',
    'disable-logging = true',
  ]
  host.write('/etc/daimyo/site.ini', `${lines.join('\n')}\n`)
}

async function systemctl(t: Test, host: BootedSystemd, ...words: string[]): Promise<void> {
  const { code, out } = await host.run('systemctl', ...words)
  t.equal(code, 0, `systemctl ${words.join(' ')}: ${out}`)
  if (code !== 0) t.comment(await host.journal(words.at(-1) ?? ''))
}

async function dropIn(t: Test, host: BootedSystemd, ...lines: string[]): Promise<void> {
  host.write(`/etc/systemd/system/${site}.d/test.conf`, `[Service]\n${lines.join('\n')}\n`)
  await systemctl(t, host, 'daemon-reload')
}

async function isActive(host: BootedSystemd): Promise<boolean> {
  return (await host.show(site, 'ActiveState')).ActiveState === 'active'
}

async function statusOf(host: BootedSystemd, ini = '/etc/daimyo/site.ini'): Promise<StatusReport> {
  // Standard error says whose word it is, where the master is another user's.
  const { out } = await host.run('sh', '-c', 'exec daimyo status "$0" --json 2>/dev/null', ini)
  return JSON.parse(out) as StatusReport
}

async function exposureOf(host: BootedSystemd, unit: string): Promise<number> {
  const { out } = await host.run('systemd-analyze', 'security', '--no-pager', unit)
  return Number(/exposure level for \S+: ([\d.]+)/.exec(out)?.[1] ?? 10)
}

/** Seconds of the kernel's uptime. */
async function monotonicOf(host: BootedSystemd): Promise<number> {
  return Number.parseFloat((await host.run('cat', '/proc/uptime')).out)
}

/** New connections all the time; the result ends it. */
function startKnocking(host: BootedSystemd, url: string): () => Promise<{ answered: number; failures: string[] }> {
  const script = fileURLToPath(new URL('fixtures/knocking.js', import.meta.url))
  const [command, words] = host.onItsNetwork('env', '-i', process.execPath, script, url)
  const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const printed = text(child.stdout)
  return async () => {
    child.stdin.end()
    return JSON.parse(await printed)
  }
}
