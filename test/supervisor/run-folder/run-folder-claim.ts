/** Tests `supervisor/run-folder/run-folder-claim.ts`: who may use a run folder. */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, linkSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { lifeOf } from '../../../supervisor/host/process-presence.js'
import { claimFolder, claimName, removeDrafts } from '../../../supervisor/run-folder/run-folder-claim.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

t.test('a claim is made and given back, without a trace', async t => {
  const folder = scratchFolder(t)
  const claim = claimFolder(folder)
  t.match(readFileSync(join(folder, claimName), 'utf8'), new RegExp(`^${process.pid} \\d*\\n$`))
  t.same(readdirSync(folder), [claimName])
  claim.release()
  t.same(readdirSync(folder), [])
  t.doesNotThrow(() => claim.release(), 'a second release does nothing')
})

t.test('a claim of a living process is refused with its pid', async t => {
  const folder = scratchFolder(t)
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  const life = lifeOf(child.pid ?? 0)
  if (life === null) throw new Error('the child is not seen')
  claimFolder(folder, life)
  t.throws(() => claimFolder(folder), {
    code: 'already-running',
    exitCode: EXIT.unavailable,
    message: new RegExp(`pid ${child.pid}$`),
  })
  t.same(readdirSync(folder), [claimName], 'the refused one leaves nothing behind')

  child.kill('SIGKILL')
  await once(child, 'close')
  const claim = claimFolder(folder)
  t.match(
    readFileSync(join(folder, claimName), 'utf8'),
    new RegExp(`^${process.pid} `),
    'after its death it is taken over',
  )
  t.same(readdirSync(folder), [claimName])
  claim.release()
})

const stale: [string, string][] = [
  ['of a pid that is gone', '2147483646 5\n'],
  ['half written', '12'],
  ['empty', ''],
  ['no claim at all', 'hello world\n'],
]
if (process.platform === 'linux') stale.push(['of our own pid in an earlier life', `${process.pid} 1\n`])
for (const [title, text] of stale) {
  t.test(`a stale claim is taken over: ${title}`, async t => {
    const folder = scratchFolder(t)
    writeFileSync(join(folder, claimName), text)
    claimFolder(folder).release()
    t.same(readdirSync(folder), [])
  })
}

const [stalePid, staleTicks] = [2147483646, 5]
const right = `${claimName}.after-${stalePid}-${staleTicks}`

t.test('who may follow a stale claim is alive: it is waited for by nobody', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, claimName), `${stalePid} ${staleTicks}\n`)
  writeFileSync(join(folder, right), `${process.pid} ${lifeOf(process.pid)?.startTicks ?? ''}\n`)
  t.throws(() => claimFolder(folder), { code: 'already-running', message: new RegExp(`pid ${process.pid}$`) })
  t.same(readdirSync(folder).sort(), [claimName, right], 'nothing was touched')
})

t.test('who might have followed a stale claim died before it could', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, claimName), `${stalePid} ${staleTicks}\n`)
  writeFileSync(join(folder, right), '2147483645 7\n')
  const claim = claimFolder(folder)
  t.match(readFileSync(join(folder, claimName), 'utf8'), new RegExp(`^${process.pid} `))
  t.same(readdirSync(folder), [claimName])
  claim.release()
})

t.test('a claim that another master took over is not released', async t => {
  const folder = scratchFolder(t)
  const claim = claimFolder(folder)
  writeFileSync(join(folder, claimName), '1 1\n')
  claim.release()
  t.equal(readFileSync(join(folder, claimName), 'utf8'), '1 1\n')
})

t.test('a planted link is refused', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'precious'), 'keep')
  symlinkSync('precious', join(folder, claimName))
  t.throws(() => claimFolder(folder), { code: 'run-folder', exitCode: EXIT.permission })
  t.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'keep')
})

t.test('what is planted in place of a draft makes nobody wait, and is not written to', async t => {
  const folder = scratchFolder(t)
  const draft = join(folder, `${claimName}.${process.pid}.new`)
  writeFileSync(join(folder, 'precious'), 'keep')
  const plants: [string, () => void][] = [
    ['a FIFO', () => execFileSync('mkfifo', [draft])],
    ['a link', () => symlinkSync('precious', draft)],
    ['a second name', () => linkSync(join(folder, 'precious'), draft)],
  ]
  for (const [title, plant] of plants) {
    plant()
    const claim = claimFolder(folder)
    t.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'keep', title)
    claim.release()
    t.same(readdirSync(folder), ['precious'], title)
  }
})

t.test('drafts of the dead are removed, at whatever they lead to', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, `${claimName}.2147483646.new`), '')
  execFileSync('mkfifo', [join(folder, `${claimName}.2147483645.new`)])
  writeFileSync(join(folder, `${claimName}.${process.pid}.new`), '')
  removeDrafts(folder)
  t.same(readdirSync(folder), [`${claimName}.${process.pid}.new`], 'that of a living one stays')
})

t.test('a FIFO or a socket in place of a claim blocks nothing', async t => {
  const folder = scratchFolder(t)
  execFileSync('mkfifo', [join(folder, claimName)])
  claimFolder(folder).release()
  t.same(readdirSync(folder), [])
})

t.test(
  'a claim counts only for its own user’s process',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async t => {
    const folder = scratchFolder(t)
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore'],
      uid: 65_534,
    })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child, 'spawn')
    const claim = join(folder, claimName)
    writeFileSync(claim, `${child.pid} \n`)
    claimFolder(folder).release()
    t.same(readdirSync(folder), [], 'root’s file that names another’s process')
    writeFileSync(claim, `${process.pid} \n`)
    chownSync(claim, 65_534, 65_534)
    claimFolder(folder).release()
    t.same(readdirSync(folder), [], 'another’s file that names root’s process, as `1` does')
  },
)

t.test('of many that start at once exactly one gets the folder', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, claimName), '2147483646 5\n')
  const module = new URL('../../../supervisor/run-folder/run-folder-claim.js', import.meta.url).href
  const program = `
    const { claimFolder } = await import(${JSON.stringify(module)})
    process.send('up')
    process.once('message', () => {
      let text = 'claimed'
      try { claimFolder(${JSON.stringify(folder)}) } catch (error) { text = error.code }
      process.send(text)
    })
    process.once('disconnect', () => process.exit())`
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
  )
  await Promise.all(children.map(child => once(child, 'message')))
  const answers = Promise.all(children.map(child => once(child, 'message')))
  for (const child of children) child.send('go')
  const outcomes = (await answers).map(([outcome]) => String(outcome)).sort()
  t.equal(outcomes.filter(outcome => outcome === 'claimed').length, 1, outcomes.join(' '))
  for (const child of children) child.disconnect()
  await Promise.all(children.map(child => once(child, 'exit')))
})
