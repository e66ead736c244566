/** Tests `supervisor/child/start-obstacle.ts`: what stands behind a worker that cannot be started, and the remedy. */

import { mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Generation } from '../../../supervisor/child/master-context.js'
import { resolveRelease } from '../../../supervisor/child/release.js'
import { explainNotStarted, movedRelease, roomObstacle } from '../../../supervisor/child/start-obstacle.js'
import { findNoRoom } from '../../../supervisor/user/room-left.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { plainSettings } from '../fixtures/tree.js'

/** A generation of release 1, which `current` points to. */
function generationIn(folder: string): Generation {
  for (const name of ['1', '2']) {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'app.cjs'), '')
  }
  symlinkSync('1', join(folder, 'current'))
  mkdirSync(join(folder, 'run/workers'), { recursive: true })
  const settings = { ...plainSettings(join(folder, 'current'), 'app.cjs'), runDir: join(folder, 'run') }
  return { number: 1, settings, release: resolveRelease(settings) }
}

function turn(folder: string): void {
  unlinkSync(join(folder, 'current'))
  symlinkSync('2', join(folder, 'current'))
}

const changes: [title: string, change: (folder: string) => void, why: RegExp, remedy: RegExp][] = [
  ['nothing', () => {}, /^spawn \/usr\/bin\/node ENOENT$/, /^$/],
  [
    'the folder is gone',
    folder => rmSync(join(folder, '1'), { recursive: true }),
    /^chdir is gone: .*\/1$/,
    /^put it back, or reload/,
  ],
  [
    'the folder is gone, its link was turned',
    folder => {
      turn(folder)
      rmSync(join(folder, '1'), { recursive: true })
    },
    /^chdir is gone: .*\/1$/,
    /\/current now points to .*\/2: reload$/,
  ],
  [
    'the application is gone',
    folder => unlinkSync(join(folder, '1/app.cjs')),
    /^app is gone: .*\/1\/app\.cjs$/,
    /another app$/,
  ],
  ['the link was turned, and the release is there', turn, /ENOENT$/, /^$/],
  [
    'the run folder is gone',
    folder => rmSync(join(folder, 'run'), { recursive: true }),
    /^run-dir is gone: .*\/run$/,
    /^daimyo makes it again/,
  ],
]
for (const [title, change, why, remedy] of changes) {
  t.test(title, async t => {
    const folder = scratchFolder(t)
    const generation = generationIn(folder)
    change(folder)
    const found = explainNotStarted('spawn /usr/bin/node ENOENT', generation)
    t.match(found.why, why)
    t.match(found.remedy, remedy)
    t.equal(movedRelease(generation)?.chdir ?? null, title.includes('turned') ? join(folder, '2') : null)
  })
}

t.test('without chdir it is the folder of the start that is gone', async t => {
  const folder = scratchFolder(t)
  const startFolder = join(folder, 'start')
  mkdirSync(startFolder)
  const { settings, ...rest } = generationIn(folder)
  const started = { ...settings, chdir: null, app: null, startFolder }
  const generation = { ...rest, settings: started, release: resolveRelease(started) }
  rmSync(startFolder, { recursive: true })
  t.match(explainNotStarted('spawn /usr/bin/node ENOENT', generation), {
    why: `the folder of the start is gone: ${startFolder}`,
    remedy: /^put it back, or reload with another chdir$/,
  })
})

const errors: [error: string, program: string, why: RegExp, remedy: RegExp][] = [
  ['spawn /gone/node ENOENT', '/gone/node', /^Node is gone: \/gone\/node$/, /start daimyo again/],
  ['spawn /usr/bin/node EMFILE', '/', /no descriptors left/, /LimitNOFILE/],
  ['spawn /usr/bin/node ENFILE', '/', /system has no descriptors/, /file-max/],
  ['spawn /usr/bin/node EAGAIN', '/', /no more processes/, /sysctl kernel|TasksMax/],
  ['spawn /usr/bin/node EAGAIN: no more processes', '/', /no more processes are allowed/, /sysctl kernel|TasksMax/],
  ['spawn E2BIG', '/', /too large/, /env-file/],
  ['spawn /usr/bin/node ENOMEM', '/', /memory/, /fewer/],
  ['setpriv is not installed', '/', /^setpriv is not installed$/, /^$/],
]
t.test('errors', async t => {
  const generation = generationIn(scratchFolder(t))
  for (const [error, program, why, remedy] of errors) {
    const found = explainNotStarted(error, generation, null, program)
    t.match(found.why, why, error)
    t.match(found.remedy, remedy, error)
  }
})

t.test('a worker is believed that there is no room where the file system says so', async t => {
  const settings = { ...plainSettings('/srv', 'app.cjs'), runDir: '/r' }
  const full = { blocks: 100, bavail: 0, files: 50, ffree: 5 }
  const ask = (said: string, by: 'system' | 'worker', figures: typeof full) =>
    roomObstacle({ said, by }, { settings }, (folder, error) => findNoRoom(folder, error, () => figures))?.why
  const said = 'listen ENOSPC: no space left on device /r/workers/1.sock'
  const quota = 'EDQUOT: disk quota exceeded, open /r/workers/1.sock'
  t.match(ask(said, 'worker', full), /: all of its 100 blocks are taken$/)
  t.equal(ask(said, 'worker', { ...full, bavail: 1 }), undefined)
  t.equal(ask(quota, 'worker', { ...full, bavail: 1 }), undefined)
  t.equal(ask('ENOSPC: no space left on device, write /tmp/x', 'worker', full), undefined, 'another folder')
  t.match(ask(said, 'system', { ...full, bavail: 1 }), /: there was no room at that moment$/)
  t.match(ask(quota, 'system', { ...full, bavail: 1 }), /^the quota /)
})
