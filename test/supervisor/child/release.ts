/** The release of a generation: `supervisor/child/release.ts`. */

import fs, { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { resolveRelease } from '../../../supervisor/child/release.js'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'daimyo-release-')))
t.teardown(() => rmSync(folder, { recursive: true }))
for (const name of ['a', 'b', 'other']) {
  mkdirSync(join(folder, name))
  writeFileSync(join(folder, name, 'app.js'), '')
}
symlinkSync('a', join(folder, 'current'))
symlinkSync('b', join(folder, 'named'))
symlinkSync('other', join(folder, 'sent'))
symlinkSync('../other/app.js', join(folder, 'a', 'linked.js'))
const at = (path: string) => join(folder, path)

const nothing = {
  credentials: null,
  startFolder: at('b'),
  staticMap: [],
  checkStatic: [],
  staticSafe: [],
  internal: [],
  xSendfileRoot: [],
}
const resolved: [string, { app: string | null; chdir: string | null }, { app: string | null; chdir: string }][] = [
  ['plain paths', { app: at('a/app.js'), chdir: at('a') }, { app: at('a/app.js'), chdir: at('a') }],
  ['a linked folder', { app: at('current/app.js'), chdir: at('current') }, { app: at('a/app.js'), chdir: at('a') }],
  ['a relative application', { app: 'app.js', chdir: at('current') }, { app: at('a/app.js'), chdir: at('a') }],
  ['an application elsewhere', { app: at('b/app.js'), chdir: at('current') }, { app: at('b/app.js'), chdir: at('a') }],
  ['a linked application', { app: at('a/linked.js'), chdir: at('a') }, { app: at('other/app.js'), chdir: at('a') }],
  ['no application', { app: null, chdir: at('a') }, { app: null, chdir: at('a') }],
  ['no folder', { app: null, chdir: null }, { app: null, chdir: at('b') }],
]
for (const [title, settings, expected] of resolved) {
  t.test(title, t => {
    t.same(resolveRelease({ ...settings, ...nothing }), { ...expected, folders: new Map() })
    t.end()
  })
}

const refused: [
  string,
  Partial<Parameters<typeof resolveRelease>[0]> & { app: null | string; chdir: null | string },
  RegExp,
][] = [
  [
    'a static folder that is gone',
    { app: null, chdir: at('a'), checkStatic: [at('no')] },
    /check-static=.*no: no such file/,
  ],
  ['no such application', { app: at('a/no.js'), chdir: null }, /app=.*no\.js: no such file/],
  ['an application that is a folder', { app: at('a'), chdir: null }, /app=.*: not a file/],
  ['no such folder', { app: null, chdir: at('no') }, /chdir=.*no: no such file/],
  ['a folder that is a file', { app: null, chdir: at('a/app.js') }, /chdir=.*: not a folder/],
]
for (const [title, settings, message] of refused) {
  t.test(`refuses ${title}`, t => {
    t.throws(() => resolveRelease({ ...nothing, ...settings }), {
      message,
      code: 'release',
      exitCode: EXIT.unavailable,
    })
    t.end()
  })
}

t.test('static folders are resolved in the release, whatever becomes of the link', t => {
  const { folders } = resolveRelease({
    ...nothing,
    app: null,
    chdir: at('current'),
    staticMap: [{ mount: '/', folder: at('current') }],
    checkStatic: [at('b')],
    staticSafe: [at('other')],
    internal: [{ mount: '/protected', folder: at('named') }],
    xSendfileRoot: [at('sent')],
  })
  t.same(
    [...folders].sort(),
    [
      [at('b'), at('b')],
      [at('current'), at('a')],
      [at('other'), at('other')],
      [at('named'), at('b')],
      [at('sent'), at('other')],
    ].sort(),
  )
  t.end()
})

t.test('the kernel follows the links, forty at most', t => {
  const { realpathSync: walk } = fs
  t.teardown(() => {
    fs.realpathSync = walk
    syncBuiltinESMExports()
  })
  fs.realpathSync = (() => t.fail('a walk of our own')) as unknown as typeof walk
  syncBuiltinESMExports()
  const link = (number: number) => at(`chain-${number}`)
  symlinkSync('a/app.js', link(0))
  for (let number = 1; number <= 40; number++) symlinkSync(link(number - 1), link(number))
  t.equal(resolveRelease({ ...nothing, chdir: null, app: link(39) }).app, at('a/app.js'))
  t.throws(() => resolveRelease({ ...nothing, chdir: null, app: link(40) }), { code: 'release', message: /ELOOP/ })
  t.end()
})

const notRoot = process.getuid?.() !== 0 && 'needs root'
t.test('a link into a folder that only root may enter is no release of another user', { skip: notRoot }, t => {
  const credentials = { user: null, uid: 65_534, gid: 65_534 }
  chmodSync(folder, 0o755)
  mkdirSync(at('roots/below'), { recursive: true })
  writeFileSync(at('roots/app.js'), '')
  chmodSync(at('roots'), 0o700)
  symlinkSync('roots/below', at('planted'))
  symlinkSync('roots/app.js', at('planted.js'))
  const cases: [string, Partial<Parameters<typeof resolveRelease>[0]>][] = [
    ['chdir', { chdir: at('planted') }],
    ['app', { app: at('planted.js') }],
    ['static-map', { staticMap: [{ mount: '/', folder: at('planted') }] }],
    ['x-sendfile-root', { xSendfileRoot: [at('planted')] }],
  ]
  for (const [option, settings] of cases) {
    const located = { ...nothing, app: null, chdir: at('a'), ...settings }
    t.doesNotThrow(() => resolveRelease(located), `${option}: root itself may`)
    const message = new RegExp(`${option}=.*EACCES.*: accepted a path that the user of the service may reach$`)
    t.throws(() => resolveRelease({ ...located, credentials }), { code: 'release', message }, option)
  }
  t.end()
})
