/** Each command of CONTRIBUTING.md does what it says there. A command that is added to the page fails here until it has its proof. */

import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'
import { topFolder } from './fixtures/watched-site.js'

const read = (path: string) => readFileSync(join(topFolder, path), 'utf8')
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
const ci = read('.ci/run')

interface Ended {
  ok: boolean
  out: string
}

/** Runs a command as a shell does, but for the build before it: other tests run from what is built. `npm` is what its script says. */
function run(command: string, cwd = topFolder): Promise<Ended> {
  const typed = command.replace(
    /npm (?:run )?([\w:]+)(?: --(?= ))?/,
    (_, name: string) => scripts[name] ?? `no-script-${name}`,
  )
  const env = { ...process.env, PATH: `${join(topFolder, 'node_modules/.bin')}:${process.env.PATH}` }
  return new Promise(resolve => {
    execFile('sh', ['-c', typed], { cwd, env }, (error, out) => resolve({ ok: error === null, out }))
  })
}

const isRunByCi = async (t: Test, command: string) => {
  t.match(ci, new RegExp(`^(check '[^']+' )?${command.replace('run ', 'run (--silent )?')}( |$)`, 'm'), 'CI runs it')
}
const namesFiles = async (t: Test, command: string) => {
  for (const path of command.split(' -- ')[1]?.split(' ') ?? [])
    t.ok(existsSync(join(topFolder, `test/${path}.ts`)), path)
}

const ONE_FILE = 'npm test -- proxy/route/route-table'
const proofs: Record<string, (t: Test, command: string) => Promise<void>> = {
  'npm start': isRunByCi,
  'npm test': isRunByCi,
  [ONE_FILE]: async (t, command) => {
    t.match(await run(command), {
      ok: true,
      out: /^1\.\.1\nok 1 - proxy\/route\/route-table\.js .*\n# 1 of 1 files passed in \d+ s$/m,
    })
  },
  [`TAP_GREP='no route' ${ONE_FILE}`]: async (t, command) => {
    const { ok, out } = await run(command)
    t.ok(ok)
    t.notMatch(out, /ok \d+ - no route/, 'it is not skipped')
    const titles = [...read('test/proxy/route/route-table.ts').matchAll(/^t\.test\('(.*)'/gm)].map(([, title]) => title)
    t.ok(titles.includes('no route'), 'it is there')
    t.equal(out.match(/# SKIP filter/g)?.length, titles.length - 1, 'the others are skipped')
  },
  // `test/watch.ts` runs it.
  'npm run dev:test -- proxy/route/route-table': async t => {
    t.equal(scripts['dev:test'], 'node test/watch.mjs')
  },
  // The suite runs them.
  'npm test -- types tidy rooms': namesFiles,
  'npm test -- types': namesFiles,
  'npm run lint': isRunByCi,
  'npm run lint -- --write': async (t, command) => {
    const folder = scratchFolder(t)
    writeFileSync(join(folder, 'biome.json'), read('biome.json').replace('"enabled": true', '"enabled": false'))
    writeFileSync(join(folder, 'one.ts'), 'export const one = "1";')
    t.match(await run(command, folder), { ok: true })
    t.equal(readFileSync(join(folder, 'one.ts'), 'utf8'), "export const one = '1'\n")
  },
  'node dist/supervisor/daimyo.js help options > docs/options.md': async (t, command) => {
    const [printing = '', path = ''] = command.split(' > ')
    t.match(await run(printing), { ok: true, out: read(path) })
  },
}

const spans = [...read('CONTRIBUTING.md').matchAll(/`([^`\n]+)`/g)].map(([, words = '']) => words)
const commands = new Set(spans.filter(words => /^(\w+='[^']*' )?(npm|npx|node|git|daimyo \S+ \S+) /.test(`${words} `)))
t.same([...commands].sort(), Object.keys(proofs).sort(), 'the commands of the page are those that are tried here')
for (const [command, prove] of Object.entries(proofs)) t.test(command, t => prove(t, command))

t.test('a script that is not there', async t => {
  t.match(await run('npm run nonsense'), { ok: false }, 'would have been told')
})
