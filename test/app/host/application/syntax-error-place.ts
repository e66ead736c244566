/** Tests `app/host/application/syntax-error-place.ts`: an error without a place gets one, and nothing else is touched or run. */

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { addSyntaxErrorPlace, isWithoutPlace, placeIn } from '../../../../app/host/application/syntax-error-place.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

const stacks: [string, string, boolean][] = [
  [
    'frames of Node only',
    'SyntaxError: x\n    at compile (node:internal/a:1:2)\n    at async node:internal/b:3:4',
    true,
  ],
  ['no frames', 'SyntaxError: x', true],
  [
    'a place before it',
    '/farm.cjs:1\nconst = 1\n      ^\n\nSyntaxError: x\n    at wrapSafe (node:internal/a:1:2)',
    false,
  ],
  [
    'thrown by the application',
    'SyntaxError: x\n    at JSON.parse (<anonymous>)\n    at load (file:///farm.mjs:1:2)',
    false,
  ],
  ['another error', 'TypeError: x\n    at compile (node:internal/a:1:2)', false],
]

t.test('which stacks lack a place', async t => {
  for (const [title, stack, expected] of stacks) t.equal(isWithoutPlace(stack), expected, title)
})

const words: [string, string, string | null][] = [
  [
    'a place',
    'file:///farm.mjs:2\nrice = ;\n       ^\n\nSyntaxError: x\n    at a\n',
    'file:///farm.mjs:2\nrice = ;\n       ^',
  ],
  ['another message', 'file:///farm.mjs:2\nrice = ;\n       ^\n\nSyntaxError: y\n    at a\n', null],
  ['another error', 'file:///farm.mjs:2\nrice\n^\n\nReferenceError: x\n    at a\n', null],
  ['nothing', '', null],
]

t.test('what a dying Node says', async t => {
  for (const [title, text, expected] of words) t.equal(placeIn(text, 'x'), expected, title)
})

t.test('a module', async t => {
  const folder = scratchFolder(t)
  const write = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }
  const failed = async (path: string) => {
    const error = await import(pathToFileURL(path).href).then(
      () => null,
      reason => reason,
    )
    const before = error.stack
    addSyntaxErrorPlace(error, path)
    return { before, after: error.stack as string }
  }
  const ran = join(folder, 'ran')
  const runs = `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(ran)}, '')\n`
  write('wrong.mjs', 'const field = 1\nconst rice = ;\n')

  const imports = await failed(write('imports.mjs', `${runs}import './wrong.mjs'\n`))
  t.match(imports.after, /^file:.*wrong\.mjs:2\nconst rice = ;\n +\^\n\nSyntaxError: Unexpected token/)
  t.ok(imports.after.endsWith(`\n\n${imports.before}`), 'its own stack is kept')
  t.notOk(existsSync(ran), 'nothing ran')

  const later = await failed(write('later.mjs', `await import('./wrong.mjs')\n`))
  t.equal(later.after, later.before, 'an import that only happens when it runs is not looked for')

  const parses = await failed(write('parses.mjs', `JSON.parse('{')\n`))
  t.equal(parses.after, parses.before, 'thrown by its own code')
})
