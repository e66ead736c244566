/** Tests `supervisor/rotation/log-backup.ts` with real files. */

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { backUpLog, backupsAmong } from '../../../supervisor/rotation/log-backup.js'
import { removals } from '../../../supervisor/user/file-removal.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

/** What has been asked for so far is removed. */
const removed = () => removals.settled(60_000)
const now = new Date('2026-11-21T10:00:00.700Z')

t.test('the previous log is kept under its date', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  writeFileSync(path, 'old\n')
  t.equal(backUpLog(path, now), `${path}.2026-11-21T10-00-00`)
  t.equal(readFileSync(`${path}.2026-11-21T10-00-00`, 'utf8'), 'old\n')
  t.same(readdirSync(join(path, '..')), ['daimyo.log.2026-11-21T10-00-00'])
})

t.test('two within a second are both kept', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const names = ['one', 'two', 'three'].map(text => {
    writeFileSync(path, text)
    return basename(backUpLog(path, now) ?? '')
  })
  const dated = 'daimyo.log.2026-11-21T10-00-00'
  t.same(names, [dated, `${dated}.001`, `${dated}.002`])
  t.equal(readFileSync(join(path, '..', dated), 'utf8'), 'one')
})

t.test('of many within a second the newest stay', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  for (const text of ['one', 'two', 'three', 'four', 'five']) {
    writeFileSync(path, text)
    backUpLog(path, now, 2)
    await removed()
  }
  const backups = backupsAmong(readdirSync(join(path, '..')), 'daimyo.log')
  t.same(
    backups.map(name => readFileSync(join(path, '..', name), 'utf8')),
    ['four', 'five'],
  )
})

t.test('on a clock that was set back the newest stay too', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const hourAgo = new Date(now.getTime() - 3_600_000)
  for (const [text, date] of Object.entries({ one: now, two: now, three: hourAgo, four: hourAgo })) {
    writeFileSync(path, text)
    backUpLog(path, date, 2)
    await removed()
  }
  const backups = backupsAmong(readdirSync(join(path, '..')), 'daimyo.log')
  t.same(backups, ['daimyo.log.2026-11-21T10-00-01', 'daimyo.log.2026-11-21T10-00-02'])
  t.same(
    backups.map(name => readFileSync(join(path, '..', name), 'utf8')),
    ['three', 'four'],
  )
})

for (const date of ['2026-99-99T00-00-00', '9999-12-31T23-59-59']) {
  t.test(`a backup of ${date} keeps nobody from the true date`, async t => {
    const path = join(scratchFolder(t), 'daimyo.log')
    writeFileSync(`${path}.${date}`, '')
    writeFileSync(path, 'new')
    t.equal(backUpLog(path, now), `${path}.2026-11-21T10-00-00`)
  })
}

t.test('the oldest past the bound go, and nothing else', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'daimyo.log')
  const others = [
    'daimyo.log.1',
    'daimyo.log.2020-01-01',
    'other.log.2020-01-01T00-00-00',
    'daimyo.log.2020-01-01T00-00-00.gz',
  ]
  for (const name of others) writeFileSync(join(folder, name), '')
  mkdirSync(join(folder, 'daimyo.log.2020-01-02T00-00-00'))
  for (const day of ['01', '02', '03']) writeFileSync(`${path}.2026-01-${day}T00-00-00`, day)
  writeFileSync(path, 'new')
  backUpLog(path, now, 2)
  await removed()
  const kept = ['daimyo.log.2020-01-02T00-00-00', 'daimyo.log.2026-01-03T00-00-00', 'daimyo.log.2026-11-21T10-00-00']
  t.same(readdirSync(folder).sort(), [...others, ...kept].sort())
})

const nothing: [string, (path: string) => void][] = [
  ['no file', () => {}],
  ['an empty file', path => writeFileSync(path, '')],
  ['a folder', path => mkdirSync(path)],
  ['a link', path => symlinkSync('elsewhere', path)],
]
for (const [title, make] of nothing) {
  t.test(`nothing to keep: ${title}`, async t => {
    const path = join(scratchFolder(t), 'daimyo.log')
    make(path)
    const before = readdirSync(join(path, '..'))
    t.equal(backUpLog(path, now), null)
    t.same(readdirSync(join(path, '..')), before)
  })
}

t.test('which names are backups', async t => {
  const cases: [string, string[]][] = [
    ['daimyo.log.2026-11-21T10-00-00', ['daimyo.log.2026-11-21T10-00-00']],
    ['daimyo.log.2026-11-21T10-00-00.001', ['daimyo.log.2026-11-21T10-00-00.001']],
    ['daimyo.log', []],
    ['xdaimyo.log.2026-11-21T10-00-00', []],
    ['daimyo.log.2026-11-21T10-00-00.gz', []],
  ]
  for (const [name, expected] of cases) t.same(backupsAmong([name], 'daimyo.log'), expected, name)
})
