/**
 * Tests `supervisor/user/guarded-path.ts`: what root opens itself, and what as somebody else. Needs root; skipped without.
 */

import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  changersOf,
  type Opener,
  onGuardedPath,
  openingOf,
  type PathUse,
  whyPlanted,
} from '../../../supervisor/user/guarded-path.js'
import { asServiceUser } from '../../../supervisor/user/service-user.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { mountSilent, NO_MOUNT } from '../fixtures/silent-mount.js'

const skip = process.getuid?.() !== 0 && 'needs root'
const service = { user: 'www-data', uid: 33, gid: 33 }
const OTHER = 65_534
const PEOPLES_GROUP = 1234
const STAFF = 50

/** A folder of root's that everybody may enter, as /srv. */
function openFolder(t: { teardown(work: () => void): unknown }): string {
  const folder = scratchFolder(t)
  chmodSync(folder, 0o755)
  return folder
}

function make(folder: string, name: string, [uid, gid, mode]: [number, number, number]): string {
  const path = join(folder, name)
  if (name.endsWith('/')) mkdirSync(path)
  else writeFileSync(path, 'text')
  chownSync(path, uid, gid)
  chmodSync(path, mode)
  return path
}

type Plant = (folder: string) => string
const rootsOwn: [title: string, use: PathUse, plant: Plant][] = [
  ['a file of root in a folder of root', 'content', folder => make(folder, 'secret', [0, 0, 0o600])],
  [
    'through links of root, relative and absolute',
    'content',
    folder => {
      make(folder, 'secret', [0, 0, 0o600])
      symlinkSync('secret', join(folder, 'near'))
      symlinkSync(join(folder, 'near'), join(folder, 'far'))
      return join(folder, 'far')
    },
  ],
  ['nothing yet in a folder of root', 'content', folder => join(folder, 'nothing/at/all')],
  ['nothing below a file of root', 'content', folder => `${make(folder, 'file', [0, 0, 0o644])}/below`],
  [
    'behind ..',
    'content',
    folder => {
      make(folder, 'below/', [0, 0, 0o755])
      make(folder, 'secret', [0, 0, 0o600])
      return `${folder}/below/../secret`
    },
  ],
  [
    'in a folder of root in a sticky folder',
    'content',
    folder => make(make(make(folder, 'tmp/', [0, 0, 0o1777]), 'mine/', [0, 0, 0o755]), 'file', [0, 0, 0o600]),
  ],
  [
    'a name in a folder of a system group',
    'name',
    folder => join(make(folder, 'staffs/', [0, STAFF, 0o775]), 'site.log'),
  ],
  ['a name of the user in a folder of root', 'name', folder => make(folder, 'site.log', [33, 33, 0o640])],
]
for (const [title, use, plant] of rootsOwn) {
  t.test(`root opens: ${title}`, { skip }, async t => {
    const path = plant(openFolder(t))
    t.same(openingOf(path, use, service), { as: null, reason: '' })
    t.same(openingOf(path, use, 'unknown'), { as: null, reason: '' })
  })
}

const usersOwn: [title: string, use: PathUse, plant: Plant, reason: RegExp][] = [
  ['a file of the user', 'content', folder => make(folder, 'file', [33, 33, 0o600]), /file belongs to www-data$/],
  [
    'a file that everybody may write',
    'content',
    folder => make(folder, 'file', [0, 0, 0o666]),
    /everybody may write to .*file$/,
  ],
  [
    'a name in a folder of the user',
    'name',
    folder => join(make(folder, 'public/', [33, 33, 0o755]), 'site.log'),
    /public belongs to www-data$/,
  ],
  [
    'root’s file below a folder of somebody else',
    'content',
    folder => make(make(make(folder, 'home/', [OTHER, OTHER, 0o755]), 'site/', [0, 0, 0o755]), 'file', [0, 0, 0o644]),
    /home belongs to nobody$/,
  ],
  [
    'through a link of the user',
    'content',
    folder => {
      make(folder, 'secret', [0, 0, 0o600])
      symlinkSync('secret', join(folder, 'link'))
      lchownSync(join(folder, 'link'), service.uid, service.gid)
      return join(folder, 'link')
    },
    /link belongs to www-data$/,
  ],
  [
    'through a link of root into a folder of the user',
    'content',
    folder => {
      make(make(folder, 'site/', [33, 33, 0o755]), 'page', [0, 0, 0o600])
      symlinkSync('site/page', join(folder, 'link'))
      return join(folder, 'link')
    },
    /site belongs to www-data$/,
  ],
  [
    'a folder of a group of people',
    'content',
    folder => make(make(folder, 'shared/', [0, PEOPLES_GROUP, 0o775]), 'file', [0, 0, 0o644]),
    /the group 1234 may write to .*shared$/,
  ],
  [
    'a folder of the service’s own group',
    'content',
    folder => make(make(folder, 'shared/', [0, 33, 0o775]), 'file', [0, 0, 0o644]),
    /the group www-data may write to .*shared$/,
  ],
  [
    'what somebody else has in a sticky folder',
    'content',
    folder => make(make(folder, 'tmp/', [0, 0, 0o1777]), 'theirs', [OTHER, OTHER, 0o644]),
    /theirs belongs to nobody$/,
  ],
  [
    'what nobody has yet in a sticky folder',
    'name',
    folder => join(make(folder, 'tmp/', [0, 0, 0o1777]), 'new'),
    /anybody may make .*new$/,
  ],
  [
    'a file of root in a sticky folder, where the user may have moved it',
    'content',
    folder => {
      const own = make(make(folder, 'site/', [33, 33, 0o755]), 'secret', [0, 0, 0o600])
      const path = join(make(folder, 'tmp/', [0, 0, 0o1777]), 'site.env')
      asServiceUser(service, () => renameSync(own, path))
      return path
    },
    /everybody may move things to .*tmp$/,
  ],
  [
    'a name in a sticky folder at which a file of root lies',
    'name',
    folder => make(make(folder, 'tmp/', [0, 0, 0o1777]), 'site.log', [0, 0, 0o600]),
    /everybody may move things to .*tmp$/,
  ],
  [
    'a link of root in a sticky folder',
    'content',
    folder => {
      const path = join(make(folder, 'tmp/', [0, 0, 0o1777]), 'link')
      symlinkSync(make(folder, 'secret', [0, 0, 0o600]), path)
      return path
    },
    /everybody may move things to .*tmp$/,
  ],
  [
    'a path that root may not look at',
    'content',
    folder => join(folder, 'x'.repeat(300)),
    /root may not look at .* \(ENAMETOOLONG\)$/,
  ],
]
for (const [title, use, plant, reason] of usersOwn) {
  t.test(`opened as the user: ${title}`, { skip }, async t => {
    const path = plant(openFolder(t))
    const opening = openingOf(path, use, service)
    t.same(opening.as, service)
    t.match(opening.reason, /^opened as www-data, because /)
    t.match(opening.reason, reason)
  })
}

t.test('a file system that another user has mounted is not asked whose its files are', { skip }, async t => {
  const folder = openFolder(t)
  const mount = make(folder, 'fuse/', [0, 0, 0o755])
  if (!(await mountSilent(t, mount))) return void t.pass(NO_MOUNT)
  // A look would not come back.
  const opening = openingOf(join(mount, 'site.env'), 'content', service)
  t.same(opening.as, service)
  t.match(opening.reason, /fuse is a file system of nobody$/)
  t.match(whyPlanted(join(mount, 'run'), [0]), /fuse is a file system of nobody$/)
})

t.test('nothing changes for who is not to become anybody', { skip }, async t => {
  const path = make(openFolder(t), 'file', [33, 33, 0o600])
  t.same(openingOf(path, 'content', null), { as: null, reason: '' })
})

t.test('while the user is not known, as the one who may change it', { skip }, async t => {
  const folder = openFolder(t)
  const cases: [string, number][] = [
    [make(folder, 'theirs', [OTHER, OTHER, 0o600]), OTHER],
    [make(folder, 'services', [33, 33, 0o600]), 33],
    [make(folder, 'everybodys', [0, 0, 0o666]), 65_534],
  ]
  for (const [path, uid] of cases) t.equal(openingOf(path, 'content', 'unknown').as?.uid, uid, path)
  const read = (path: string, opener: Opener) =>
    onGuardedPath(path, 'content', opener, () => readFileSync(path, 'utf8'))
  t.equal(read(join(folder, 'theirs'), 'unknown'), 'text', 'what is theirs alone can be read')
  make(folder, 'secret', [0, 0, 0o600])
  symlinkSync(join(folder, 'secret'), join(make(folder, 'public/', [33, 33, 0o755]), 'page'))
  t.throws(() => read(join(folder, 'public/page'), 'unknown'), {
    code: 'EACCES',
    message: /^EACCES: .* \(opened as www-data, because \/.*\/public belongs to www-data\)$/,
  })
  t.equal(process.geteuid?.(), 0, 'and root is root again')
})

t.test('who may change an INI', { skip }, async t => {
  const folder = openFolder(t)
  const nobody = { service: null, everybody: null, others: null }
  t.same(changersOf(make(folder, 'roots.ini', [0, 0, 0o644]), service), nobody)
  const deploys = make(make(folder, 'deploys/', [OTHER, OTHER, 0o755]), 'site.ini', [0, 0, 0o644])
  t.match(changersOf(deploys, service), { service: null, others: /deploys belongs to nobody$/ })
  const both = make(make(join(folder, 'deploys'), 'site/', [33, 33, 0o755]), 'site.ini', [0, 0, 0o644])
  t.match(changersOf(both, service), { service: /site belongs to www-data$/, others: /deploys belongs to nobody$/ })
  const groups = make(make(folder, 'groups/', [0, 33, 0o775]), 'site.ini', [0, 0, 0o644])
  t.match(changersOf(groups, service), { service: /the group www-data may write to .*groups$/ })
  t.match(changersOf(groups, null), { service: null, everybody: null, others: /the group www-data may write to/ })
  const open = make(make(folder, 'open/', [0, 0, 0o777]), 'site.ini', [0, 0, 0o644])
  t.match(changersOf(open, null), { service: null, everybody: /everybody may write to .*open$/ })
})

t.test('a swap between judging and opening gains nothing', { skip }, async t => {
  const folder = openFolder(t)
  make(folder, 'secret', [0, 0, 0o600])
  const site = make(folder, 'site/', [33, 33, 0o755])
  const page = make(site, 'page', [33, 33, 0o644])
  const opening = () =>
    onGuardedPath(page, 'content', service, () => {
      // What the user could do at this very moment.
      renameSync(page, `${page}.before`)
      symlinkSync(join(folder, 'secret'), page)
      return readFileSync(page, 'utf8')
    })
  t.throws(opening, { code: 'EACCES' })
  t.ok(lstatSync(page).isSymbolicLink())
})
