/** docs/options.md is printed from the option table: this test compares the two. */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { acceptedKeys, optionNames } from '../../../kit/options/options.js'
import { REFUSED_OPTIONS } from '../../../kit/options/words/ignored-options.js'
import { configReference } from '../../../supervisor/help/config-reference.js'

const reference = configReference()

t.test('docs/options.md is fresh', async t => {
  const file = readFileSync(join(findTop(dirname(fileURLToPath(import.meta.url))), 'docs/options.md'), 'utf8')
  t.equal(file, reference, 'print it again: daimyo help options > docs/options.md')
})

t.test('holds every option', async t => {
  for (const name of optionNames()) t.match(reference, new RegExp(`^### ${name}$`, 'm'), name)
  for (const key of [...acceptedKeys(), ...Object.keys(REFUSED_OPTIONS)]) {
    t.ok(reference.includes(`\`${key}\``) || reference.includes(`### ${key}\n`), key)
  }
})

/** The repository's top folder: where package.json is. */
function findTop(folder: string): string {
  try {
    readFileSync(join(folder, 'package.json'))
    return folder
  } catch {
    return findTop(dirname(folder))
  }
}
