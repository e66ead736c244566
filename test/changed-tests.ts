/** Tests `changed-tests.mjs`: a change reaches the tests that import it, and no others. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { scratchFolder } from './supervisor/fixtures/scratch-folder.js'

interface Changed {
  changedFiles(top: string, commit: string): string[]
  testsThatReach(build: string, tests: string[], changed: string[]): string[]
}

/** Our sources have no types here. */
const { changedFiles, testsThatReach }: Changed = await import(
  fileURLToPath(new URL('../../test/changed-tests.mjs', import.meta.url))
)

const BUILD = {
  'proxy/a.js': "import { b } from './b.js'",
  'proxy/b.js': "import { a } from './a.js'\nimport './c.js'",
  'proxy/c.js': '',
  'kit/prelude.cjs': '',
  'test/proxy/a.js': "import { a } from '../../proxy/a.js'",
  'test/proxy/b.js': "import { b } from '../../proxy/b.js'",
  'test/proxy/c.js': "import { wait } from './fixtures/wait.js'\nconst name = './no-file.js'",
  'test/proxy/fixtures/wait.js': '',
  'test/kit/prelude.js': "new URL('../../kit/prelude.cjs', import.meta.url)",
  'test/types.js': '',
}
const TESTS = ['kit/prelude.js', 'proxy/a.js', 'proxy/b.js', 'proxy/c.js', 'types.js']

function write(t: Test, files: Record<string, string>): string {
  const folder = scratchFolder(t)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

const cases: [title: string, changed: string[], expected: string[]][] = [
  ['nothing', [], ['types.js']],
  ['a document', ['README.md'], ['types.js']],
  ['a source that others import in a circle', ['proxy/c.ts'], ['proxy/a.js', 'proxy/b.js', 'types.js']],
  ['a fixture', ['test/proxy/fixtures/wait.ts'], ['proxy/c.js', 'types.js']],
  ['a test', ['test/proxy/c.ts'], ['proxy/c.js', 'types.js']],
  ['a CommonJS module that is started', ['kit/prelude.cts'], ['kit/prelude.js', 'types.js']],
]
for (const [title, changed, expected] of cases) {
  t.test(title, async t => t.same(testsThatReach(write(t, BUILD), TESTS, changed), expected))
}

t.test('what differs from a commit, and what is new', async t => {
  const folder = write(t, { 'a.ts': '1', 'b.ts': '1', '.gitignore': 'ignored\n' })
  const git = (...words: string[]) => execFileSync('git', words, { cwd: folder })
  git('init', '-q')
  git('add', '.')
  git('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'a')
  for (const name of ['b.ts', 'c.ts', 'ignored']) writeFileSync(join(folder, name), '2')
  t.same(changedFiles(folder, 'HEAD').sort(), ['b.ts', 'c.ts'])
})
