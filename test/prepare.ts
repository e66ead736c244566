/** Tests `prepare.mjs`: a build takes the place of another at once, and leaves that one to whoever runs from it. */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { scratchFolder } from './supervisor/fixtures/scratch-folder.js'

const top = fileURLToPath(new URL('../../', import.meta.url))
const sourceFolders = ['supervisor', 'proxy', 'app/host', 'kit', 'bench', 'test']

const sources = [
  'kit/channel/channel.ts',
  'kit/link/frames.ts',
  'proxy/main.ts',
  'app/host/main.ts',
  'app/host/watchdog/watchdog-thread.ts',
  'bench/main.ts',
  'test/one.ts',
  'supervisor/daimyo.ts',
  'supervisor/command.ts',
  'supervisor/attached/stop-time.ts',
  'supervisor/control/readiness.ts',
  'supervisor/listen/socket-file.ts',
  'supervisor/rotation/log-child-main.ts',
  'supervisor/task-child-main.ts',
  'supervisor/child/loop-guard-thread.ts',
]
/**
 * Our sources have no types here. It leaves half of its work behind where it finds a mistake, and writes down beside the checkout what it compiles: all, or
 * the files of the project that it is given.
 */
const compiler = `
const { appendFileSync, cpSync, existsSync, readdirSync, readFileSync } = require('node:fs')
const { dirname, join, relative } = require('node:path')
const [, , , project, , out] = process.argv
const top = dirname(dirname(dirname(__dirname)))
const isPart = project.endsWith('.json')
const folders = ${JSON.stringify(sourceFolders)}
const all = () => folders.flatMap(folder => readdirSync(join(top, folder), { recursive: true }).map(name => join(folder, name)))
const names = isPart
  ? JSON.parse(readFileSync(project, 'utf8')).files.map(file => relative(top, file))
  : all().filter(name => name.endsWith('.ts'))
appendFileSync(join(top, 'compiled'), (isPart ? names.join(' ') : 'all') + '\\n')
for (const name of names) {
  const file = join(top, name)
  if (/nonsense/.test(readFileSync(file, 'utf8'))) process.exit(2)
  cpSync(file, join(out, name.replace(/ts$/, 'js')))
}`

/** The smallest checkout that can be built. */
function plant(t: Test) {
  const folder = scratchFolder(t)
  const path = (name: string) => join(folder, name)
  for (const name of sources) mkdirSync(dirname(path(name)), { recursive: true })
  for (const name of ['prepare.mjs', 'bundle.mjs', 'package-lock.json', 'package.json', 'tsconfig.json']) {
    copyFileSync(join(top, name), path(name))
  }
  mkdirSync(path('node_modules/typescript/bin'), { recursive: true })
  writeFileSync(path('node_modules/typescript/bin/tsc'), compiler)
  symlinkSync(join(top, 'node_modules/esbuild'), path('node_modules/esbuild'))
  const lock = createHash('sha256').update(readFileSync(path('package-lock.json')))
  writeFileSync(path('node_modules/.daimyo-stamp'), lock.digest('hex'))
  const source = (name: string, text: string) => writeFileSync(path(name), text)
  source('kit/link/frames.ts', "export const LINK_VERSION = 'link/1'\n")
  source('kit/channel/channel.ts', "export const CHANNEL_VERSION = 'channel/1'\n")
  for (const name of sources.filter(name => !existsSync(path(name)))) source(name, 'export {}\n')
  source('supervisor/daimyo.ts', 'export const release = 1\n')
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [path('prepare.mjs'), ...args], { env: { PATH: process.env.PATH } })
  const build = () => JSON.parse(readFileSync(path('dist/supervisor/build.json'), 'utf8'))
  const builds = () => readdirSync(folder).filter(name => name.startsWith('dist-'))
  return { path, source, run, build, builds }
}

t.test('a build takes the place of another at once', async t => {
  const { path, source, run, build, builds } = plant(t)
  await run()
  const first = build()
  t.match(first, { version: /^\d/, digest: /^[0-9a-f]{64}$/, link: 'link/1', channel: 'channel/1' })
  t.equal(lstatSync(path('dist/supervisor/daimyo.js')).mode & 0o111, 0o111)
  const running = realpathSync(path('dist'))

  source('supervisor/daimyo.ts', 'export const release = 22\n')
  let isOver = false
  const built = run().finally(() => {
    isOver = true
  })
  const seen = new Set<string>()
  let lacking = 0
  while (!isOver) {
    try {
      seen.add(readFileSync(path('dist/supervisor/daimyo.js'), 'utf8').trim())
    } catch {
      lacking += 1
    }
    await new Promise(setImmediate)
  }
  await built
  t.equal(lacking, 0, 'no moment lacks the program')
  t.ok(seen.size <= 2, 'nor shows half of it')
  t.match(readFileSync(path('dist/supervisor/daimyo.js'), 'utf8'), 'release = 22')
  t.not(build().digest, first.digest)
  t.match(readFileSync(join(running, 'supervisor/daimyo.js'), 'utf8'), /release = 1;/, 'the one before is there')
  t.equal(builds().length, 2)
})

t.test('what was built is not built again, nor is a test an upgrade', async t => {
  const { path, source, run, build } = plant(t)
  await run()
  const link = readlinkSync(path('dist'))
  const first = build()
  t.equal((await run()).stderr, '')
  rmSync(path('dist'))
  t.equal((await run()).stderr, '', 'the link alone was missing')
  t.equal(readlinkSync(path('dist')), link)
  source('test/one.ts', 'export const more = 1\n')
  t.equal((await run()).stderr, 'building\n')
  t.equal(build().digest, first.digest)
})

t.test('a build that is the newest again is not the first that goes', async t => {
  const { source, run, builds, path } = plant(t)
  const release = (name: string) => source('supervisor/daimyo.ts', `export const release = '${name}'\n`)
  for (const name of ['a', 'b', 'c', 'a']) {
    release(name)
    await run()
  }
  const running = realpathSync(path('dist'))
  release('d')
  await run()
  t.ok(
    builds().some(name => path(name) === running),
    'whoever runs from it goes on',
  )
})

t.test('a build that fails changes nothing, and a folder of before becomes one of the builds', async t => {
  const { path, source, run, builds } = plant(t)
  mkdirSync(path('dist/supervisor'), { recursive: true })
  writeFileSync(path('dist/supervisor/daimyo.js'), 'before')
  source('kit/link/frames.ts', 'nonsense\n')
  await t.rejects(run())
  t.equal(readFileSync(path('dist/supervisor/daimyo.js'), 'utf8'), 'before')
  t.same(builds(), [], 'nothing is left of it')
  source('kit/link/frames.ts', "export const LINK_VERSION = 'link/1'\n")
  await run()
  t.ok(lstatSync(path('dist')).isSymbolicLink())
  t.equal(readFileSync(path('dist-unknown/supervisor/daimyo.js'), 'utf8'), 'before')
  await run('--unlinked')
  t.ok(lstatSync(path('dist')).isDirectory(), 'npm packs no links')
  t.match(readFileSync(path('dist/supervisor/daimyo.js'), 'utf8'), 'release = 1')
  t.equal((await run()).stderr, '', 'and that is up to date')
})

t.test('what did not change is taken from the build before', async t => {
  const { path, source, run, build } = plant(t)
  const compiled = () => readFileSync(path('compiled'), 'utf8').trimEnd().split('\n').at(-1)
  const builtAs = (name: string) => readFileSync(path(`dist/${name}.js`), 'utf8')
  await run()
  t.equal(compiled(), 'all')
  const first = build()
  const before = realpathSync(path('dist'))
  const proxyBefore = builtAs('proxy/main')

  source('proxy/main.ts', 'export const changed = 1\n')
  source('supervisor/more.ts', 'export const added = 1\n')
  rmSync(path('bench/main.ts'))
  await run()
  t.equal(compiled(), 'supervisor/more.ts proxy/main.ts', 'only these')
  t.match(builtAs('proxy/main'), 'changed = 1')
  t.match(builtAs('supervisor/more'), 'added = 1')
  t.match(builtAs('supervisor/daimyo'), 'release = 1', 'the others are there')
  t.throws(() => builtAs('bench/main'), { code: 'ENOENT' }, 'but not what has no source')
  t.equal(lstatSync(path('dist/supervisor/daimyo.js')).mode & 0o111, 0o111)
  t.not(build().digest, first.digest)
  t.equal(readFileSync(join(before, 'proxy/main.js'), 'utf8'), proxyBefore, 'the build before is as it was')
  t.same(readdirSync(path('dist')).includes('tsconfig.json'), false)

  source('bench/main.ts', 'export {}\n')
  source('kit/link/frames.ts', 'nonsense\n')
  await t.rejects(run())
  t.match(builtAs('proxy/main'), 'changed = 1', 'a build that fails is none')
  source('kit/link/frames.ts', "export const LINK_VERSION = 'link/1'\n")
  await run()
  t.equal(compiled(), 'bench/main.ts')
  writeFileSync(path('tsconfig.json'), `${readFileSync(path('tsconfig.json'), 'utf8')}\n`)
  await run()
  t.equal(compiled(), 'all', 'the compiler does something else now')
})

t.test('a program is one file, made anew where one of its modules differs', async t => {
  const { path, source, run } = plant(t)
  const identityOf = (file: string) => lstatSync(file).ino
  const bundle = () => readFileSync(path('dist/proxy/main.js'), 'utf8')
  source('proxy/part.ts', "export const part = 'first'\n")
  source('proxy/main.ts', "import { part } from './part.js'\nconsole.log(part)\n")
  source(
    'supervisor/daimyo.ts',
    '#!/bin/sh\n//usr/bin/env true; exec node "$0"\nconst { run } = await import("./command.js")\nrun()\n',
  )
  source('supervisor/command.ts', "export const run = () => import('./late.js')\n")
  source('supervisor/late.ts', "import { part } from '../proxy/part.js'\nconsole.log(part)\n")
  await run()
  t.match(bundle(), /part = "first"/)
  t.notMatch(bundle(), /^import/m)
  t.match(readFileSync(path('dist/supervisor/daimyo.js'), 'utf8'), '#!/bin/sh\n//usr/bin/env true; exec node "$0"\n')
  t.equal((await promisify(execFile)(process.execPath, [path('dist/supervisor/daimyo.js')])).stdout, 'first\n')
  const parts = () => readdirSync(path('dist/supervisor')).filter(name => /-late-\w+\.js$/.test(name))
  t.equal(parts().length, 1, 'what is loaded late is a file of its own')
  const before = realpathSync(path('dist'))
  const first = parts()

  source('proxy/part.ts', "export const part = 'second'\n")
  await run()
  t.match(bundle(), /part = "second"/, 'the entry file itself did not change')
  t.equal((await promisify(execFile)(process.execPath, [path('dist/supervisor/daimyo.js')])).stdout, 'second\n')
  t.equal(parts().length, 1, 'no part of the build before is in it')
  t.match(readFileSync(join(before, 'proxy/main.js'), 'utf8'), /part = "first"/, 'nor has anybody written into that')
  t.match(readFileSync(join(before, 'supervisor', first[0] ?? ''), 'utf8'), /first|import/)
  const isLinked = (file: string) => identityOf(path(`dist/${file}`)) === identityOf(join(before, file))
  for (const same of ['kit/link/frames.js', 'app/host/main.js', 'app/host/main.js.map']) t.ok(isLinked(same), same)
  for (const other of ['proxy/part.js', 'proxy/main.js', 'supervisor/daimyo.js']) t.notOk(isLinked(other), other)

  source('test/one.ts', 'export const more = 1\n')
  await run()
  t.match(bundle(), /part = "second"/)
  t.equal((await promisify(execFile)(process.execPath, [path('dist/supervisor/daimyo.js')])).stdout, 'second\n')
  t.equal(readFileSync(path('compiled'), 'utf8').trimEnd().split('\n').at(-1), 'test/one.ts', 'no entry file either')
})
