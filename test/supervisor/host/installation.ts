/** Tests `supervisor/host/installation.ts`: what a running master sees of an upgrade in place. */

import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askNodeVersion, type Build, compareBuilds, Installation } from '../../../supervisor/host/installation.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

const first: Build = { version: '1.0.0', digest: 'a'.repeat(64), link: 'link/1', channel: 'channel/1' }
const second: Build = { ...first, version: '1.1.0', digest: 'b'.repeat(64) }
const third: Build = { ...second, link: 'link/2' }

const upgraded = 'daimyo was upgraded from 1.0.0 (aaaaaaaa) to 1.1.0 (bbbbbbbb)'
const cases: [title: string, own: Build | null, installed: Build | null, notice: RegExp | null, isBlocked: boolean][] =
  [
    ['nothing changed', first, first, null, false],
    ['a link that leads nowhere for a moment', first, null, null, false],
    ['another build beside it', first, second, /^daimyo was upgraded .*\): restart$/, false],
    ['another protocol beside it', first, third, /^daimyo was upgraded .*\): restart$/, false],
    ['another build in its place', second, second, /^daimyo was upgraded .*\): restart$/, false],
    [
      'another link in its place',
      third,
      third,
      /speaks link\/2 and channel\/1 and not link\/1 and channel\/1: r/,
      true,
    ],
    ['another channel in its place', { ...second, channel: 'channel/2' }, null, /speaks link\/1 and channel\/2/, true],
    ['its files are gone', null, null, /^the files of daimyo 1\.0\.0 \(aaaaaaaa\) are gone: restart$/, true],
    ['its files are gone, others are installed', null, second, /are gone: restart$/, true],
  ]
for (const [title, own, installed, notice, isBlocked] of cases) {
  t.test(title, async t => {
    const found = compareBuilds(first, own, installed)
    t.equal(found.notices.length, notice === null ? 0 : 1)
    if (notice !== null) t.match(found.notices[0], notice)
    t.equal(found.obstacle, isBlocked ? found.notices[0] : null)
  })
}

/** Two builds side by side, and a link to the first; the master was started by the link. */
function plant(t: Test, nodeVersion: string | null = null) {
  const folder = scratchFolder(t)
  const write = (name: string, build: Build | string) => {
    mkdirSync(join(folder, name), { recursive: true })
    writeFileSync(join(folder, name, 'build.json'), typeof build === 'string' ? build : JSON.stringify(build))
    writeFileSync(join(folder, name, 'daimyo.js'), '')
  }
  write('one', first)
  write('two', second)
  symlinkSync('one', join(folder, 'current'))
  copyFileSync('/bin/true', join(folder, 'node'))
  const told: unknown[] = []
  const look = new Installation({
    folder: join(folder, 'one'),
    program: join(folder, 'current/daimyo.js'),
    node: join(folder, 'node'),
    log: (event, fields) => told.push([event, fields?.why]),
    nodeVersion: async () => nodeVersion,
  })
  return { path: (name: string) => join(folder, name), write, told, look: () => look.look() }
}

t.test('a link that turns is told once, and its own files are good', async t => {
  const { path, told, look } = plant(t)
  t.same(look(), { notices: [], obstacle: null })
  symlinkSync('two', path('next'))
  renameSync(path('next'), path('current'))
  for (let count = 0; count < 3; count++) t.same(look(), { notices: [`${upgraded}: restart`], obstacle: null })
  t.same(told, [['restart-needed', `${upgraded}: restart`]])
  rmSync(path('current'))
  symlinkSync('one', path('current'))
  t.same(look(), { notices: [], obstacle: null }, 'it was taken back')
})

t.test('files in its place, and none', async t => {
  const { path, write, told, look } = plant(t)
  write('one', second)
  t.same(look(), { notices: [`${upgraded}: restart`], obstacle: null })
  write('one', third)
  t.match(look(), { obstacle: /speaks link\/2/ })
  write('one', '{"version":')
  t.match(look(), { obstacle: /are gone/ }, 'half a file')
  rmSync(path('one'), { recursive: true })
  t.match(look(), { obstacle: /are gone/ })
  write('one', first)
  t.same(look(), { notices: [], obstacle: null }, 'they are back')
  t.equal(told.length, 3, 'each is told once')
})

t.test('a build that does not describe itself is not compared', async t => {
  const folder = scratchFolder(t)
  const paths = { folder, program: join(folder, 'daimyo.js'), node: process.execPath }
  const look = new Installation({ ...paths, log: () => t.fail('told'), nodeVersion: async () => null })
  t.same(look.look(), { notices: [], obstacle: null })
})

const nodes: [title: string, version: string | null, notice: string | null][] = [
  ['another version', 'v99.1.0', `Node was upgraded from ${process.version} to v99.1.0: restart`],
  ['the same version', process.version, null],
  ['one that does not say', null, null],
]
for (const [title, version, notice] of nodes) {
  t.test(`Node is replaced: ${title}`, async t => {
    const { path, told, look } = plant(t, version)
    look()
    utimesSync(path('node'), 1, 1)
    look()
    await Promise.resolve().then(() => {})
    t.same(look(), { notices: notice === null ? [] : [notice], obstacle: null })
    t.same(told, notice === null ? [] : [['restart-needed', notice]])
    rmSync(path('node'))
    t.equal(look().obstacle, null, 'a Node that is gone is told by the start that fails')
  })
}

t.test('Node says its version', async t => {
  t.equal(await askNodeVersion(null, testPipes(t)), process.version)
})
