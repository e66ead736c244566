/** Which tests a change reaches: `npm test -- --changed`. */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** They read all sources. */
const ALWAYS = ['rooms.js', 'tidy.js', 'types.js']
/** An import, or a program or fixture that is started by its place. */
const REFERENCE = /['"](\.{1,2}\/[^'"\n]+\.[cm]?js)['"]/g

/** Paths of all files that differ from `commit`, and of new ones that git does not ignore; relative to the repository. */
export function changedFiles(top, commit) {
  const ask = (...words) => execFileSync('git', words, { cwd: top, encoding: 'utf8' }).split('\n')
  const paths = [...ask('diff', '--name-only', commit), ...ask('ls-files', '--others', '--exclude-standard')]
  return paths.filter(path => path !== '')
}

/** Those of `tests`, paths below `test/` of a build, that are a changed file or refer to one, over as many files as it takes. */
export function testsThatReach(build, tests, changed) {
  const built = new Set(changed.map(path => path.replace(/\.(c?)ts$/, '.$1js')))
  const references = new Map()
  const known = new Map()
  const reach = path => {
    if (!known.has(path)) {
      // A circle of files reaches what its other files reach.
      known.set(path, built.has(path))
      if (!references.has(path)) references.set(path, referencesOf(build, path))
      if (!built.has(path)) known.set(path, references.get(path).some(reach))
    }
    return known.get(path)
  }
  return tests.filter(path => {
    known.clear()
    return ALWAYS.includes(path) || reach(`test/${path}`)
  })
}

function referencesOf(build, path) {
  try {
    const text = readFileSync(join(build, path), 'utf8')
    return [...text.matchAll(REFERENCE)].map(([, name]) => relative('.', join(dirname(path), name)))
  } catch (error) {
    // A name in a text, or a file of the repository that is not built.
    if (error.code !== 'ENOENT') throw error
    return []
  }
}
