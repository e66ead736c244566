/**
 * daimyo is upgraded below a running master: by a build beside its own, or by other files in place of its own. The site goes on, and `status`, `reload` and the log say that a restart
 * is due; where old and new cannot work together, a reload says so at once and changes nothing.
 */

import { cpSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'
import { ask } from './fixtures/asking.js'
import { timeFactor, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)
// Most of it is waiting.
t.jobs = 3

const program = 'dist/supervisor/daimyo.js'

/** As `prepare.mjs` leaves it: `dist` is a link to the build. */
function install(folder: string): void {
  for (const part of ['supervisor', 'proxy', 'app', 'kit']) {
    cpSync(join(topFolder, 'dist', part), join(folder, 'dist-1', part), { recursive: true })
  }
  cpSync(join(topFolder, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(topFolder, 'node_modules'), join(folder, 'node_modules'))
  symlinkSync('dist-1', join(folder, 'dist'))
}

function change(file: string, from: RegExp, to: string): void {
  const text = readFileSync(file, 'utf8')
  const changed = text.replace(from, to)
  if (changed === text) throw new Error(`${file} has no ${from}`)
  writeFileSync(file, changed)
}

/** A site of an installation of its own, and what it says of its workers. */
async function serveFrom(t: Test, expected: RegExp[] = []) {
  const folder = scratchFolder(t)
  install(folder)
  const path = (name: string) => join(folder, name)
  const site = new WatchedSite(t, ['processes = 2'], { command: [process.execPath, path(program)], expected })
  const running = await site.serve()
  const pidOf = async () => (await site.status()).workers[0]?.pid ?? 0
  const killOne = async () => process.kill(await pidOf(), 'SIGKILL')
  return { site, running, path, killOne }
}

const killed = / worker-exit .*signal=SIGKILL why=died/
const upgraded = /daimyo was upgraded from \S+ \(\w{8}\) to 9\.0\.0 \(0000cafe\)/

t.test('a build beside: its own files serve until a restart', { buffered: true }, async t => {
  const { site, running, path, killOne } = await serveFrom(t, [killed])
  cpSync(path('dist-1'), path('dist-2'), { recursive: true })
  change(
    path('dist-2/supervisor/build.json'),
    /"version":"[^"]*","digest":"\w{8}/,
    '"version":"9.0.0","digest":"0000cafe',
  )
  // Nobody of the old master may start from it.
  for (const entry of ['app/host', 'proxy']) writeFileSync(path(`dist-2/${entry}/main.js`), 'process.exit(70)\n')
  symlinkSync('dist-2', path('next'))
  renameSync(path('next'), path('dist'))
  const before = await site.status()
  await killOne()
  await until('another one serves', async () => (await site.status()).workers[0]?.pid !== before.workers[0]?.pid)
  await site.untilReady()
  t.match(await site.run('reload', site.ini), { code: EXIT.ok, out: upgraded })
  t.match(await site.run('status', site.ini), { out: new RegExp(`^  ${upgraded.source}: restart$`, 'm') })
  t.match((await site.run('doctor', site.ini)).out, /^warn +master .*daimyo was upgraded .*\n +→ systemctl restart/m)
  t.match(running.out(), / restart-needed why="daimyo was upgraded from /)
  t.equal((await ask(running.url, '/')).status, 200)
  t.match(await site.end(running), { code: EXIT.ok })
})

t.test('files in its place that fit: new workers are of the new build', { buffered: true }, async t => {
  const { site, running, path } = await serveFrom(t)
  change(
    path('dist-1/supervisor/build.json'),
    /"version":"[^"]*","digest":"\w{8}/,
    '"version":"9.0.0","digest":"0000cafe',
  )
  t.match(await site.run('reload', site.ini), { code: EXIT.ok, out: upgraded })
  t.match(await site.status(), { restart: [upgraded], generation: 2 })
  t.match(await site.end(running), { code: EXIT.ok })
})

t.test(
  'files in its place that do not: nothing is started, and those that serve go on',
  { buffered: true },
  async t => {
    const trouble = [killed, / reload-failed /, / worker-not-started /, /dist-1/]
    const { site, running, path, killOne } = await serveFrom(t, trouble)
    const link = /daimyo-link\/\d+/
    const build = path('dist-1/supervisor/build.json')
    change(build, /"version":"[^"]*","digest":"\w{8}/, '"version":"9.0.0","digest":"0000cafe')
    for (const file of [build, path('dist-1/kit/link/frames.js')]) change(file, link, 'daimyo-link/99')
    const sinceMs = performance.now()
    const { code, err } = await site.run('reload', site.ini)
    t.equal(code, EXIT.failed)
    t.match(err, /^daimyo: reload failed: slot \d: worker cannot be started: daimyo was upgraded from .*: restart$/m)
    t.match(
      err,
      /, which speaks daimyo-link\/99 and daimyo-channel\/\d+ and not daimyo-link\/\d+ and daimyo-channel\/\d+:/,
    )
    t.ok(performance.now() - sinceMs < 8000 * timeFactor, 'it says so before the deadline of a link')
    await killOne()
    await running.seen(/ worker-not-started .*why="daimyo was upgraded from /)
    for (const _ of [1, 2, 3]) t.equal((await ask(running.url, '/')).status, 200, 'the other one serves')
    // Between two attempts.
    const gone = /gone .*daimyo was upgraded .*: restart/
    await until('the status says so', async () => gone.test((await site.run('status', site.ini)).out))

    rmSync(path('dist-1'), { recursive: true })
    renameSync(path('dist'), path('gone'))
    await until('it says that they are gone', async () => /are gone/.test((await site.status()).restart?.[0] ?? ''))
    t.equal((await ask(running.url, '/')).status, 200)
    t.match(await site.end(running), { code: EXIT.ok })
  },
)
