/**
 * uWSGI's magic variables, `%d` and the like: replaced in keys and values while a file is read, before anything else
 * looks at them. The reference of options prints the table. Pure. `%(` begins a placeholder and is left alone.
 */

import { basename, dirname, extname } from 'node:path'
import type { ConfigFile } from '../values/run-folder-path.js'

/** Facts of the machine and the process for the variables. */
export interface MagicFacts {
  cwd: string
  hostname: string
  uid: number
  gid: number
  user: string
  group: string
  cores: number
}

interface MagicScope {
  file: ConfigFile
  /** The file that the command named; `file` may be one that it includes. */
  main: ConfigFile
  facts: MagicFacts
}

interface MagicVariable {
  meaning: string
  of(scope: MagicScope): string
}

/** Variables about a file. The capital letter says the same of the file that the command named. */
const FILE_VARIABLES: Record<string, { meaning: string; of(file: ConfigFile): string }> = {
  o: { meaning: 'the file as it was named', of: file => file.given },
  p: { meaning: 'absolute path of the file', of: file => file.absolute },
  d: { meaning: 'absolute folder of the file, with a `/` at its end', of: file => withSlash(dirname(file.absolute)) },
  s: { meaning: 'name of the file', of: file => basename(file.absolute) },
  n: { meaning: 'name of the file without extension', of: file => basename(file.absolute, extname(file.absolute)) },
  e: { meaning: 'extension of the file, without dot', of: file => extname(file.absolute).slice(1) },
  c: { meaning: 'name of the folder of the file', of: file => basename(dirname(file.absolute)) },
  x: { meaning: 'section that was asked for with `file.ini:section`', of: file => file.section },
}

/** All variables by their letter. */
export const MAGIC_VARIABLES: ReadonlyMap<string, MagicVariable> = new Map(makeTable())

function* makeTable(): Iterable<[string, MagicVariable]> {
  for (const [letter, { meaning, of }] of Object.entries(FILE_VARIABLES)) {
    yield [letter, { meaning, of: ({ file }) => of(file) }]
    yield [
      letter.toUpperCase(),
      { meaning: `as \`%${letter}\`, of the file that the command named`, of: ({ main }) => of(main) },
    ]
  }
  for (let part = 0; part < 10; part++) {
    const meaning = `folder number ${part} on the way to the file, from 0`
    yield [String(part), { meaning, of: ({ file }) => dirname(file.absolute).split('/')[part + 1] ?? '' }]
  }
  yield ['v', { meaning: 'folder in which daimyo was started', of: ({ facts }) => facts.cwd }]
  yield ['h', { meaning: 'host name', of: ({ facts }) => facts.hostname }]
  yield ['u', { meaning: 'id of the user who started daimyo', of: ({ facts }) => String(facts.uid) }]
  yield ['U', { meaning: 'name of that user', of: ({ facts }) => facts.user }]
  yield ['g', { meaning: 'id of the group of that user', of: ({ facts }) => String(facts.gid) }]
  yield ['G', { meaning: 'name of that group', of: ({ facts }) => facts.group }]
  yield ['k', { meaning: 'number of cores', of: ({ facts }) => String(facts.cores) }]
  yield ['%', { meaning: 'a percent sign', of: () => '%' }]
}

/**
 * The text with its magic variables replaced, and the unknown ones. uWSGI drops an unknown variable silently, which
 * turns `50%` or `%20` into something else: here it is left alone and told.
 */
export function replaceMagic(text: string, scope: MagicScope): { text: string; unknown: string[] } {
  const unknown: string[] = []
  const replaced = text.replace(/%(.?)/gsu, (match, letter: string) => {
    if (letter === '(') return match
    const variable = MAGIC_VARIABLES.get(letter)
    if (variable === undefined) unknown.push(match)
    return variable?.of(scope) ?? match
  })
  return { text: replaced, unknown }
}

function withSlash(folder: string): string {
  return folder.endsWith('/') ? folder : `${folder}/`
}
