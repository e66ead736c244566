/**
 * Finds out where a syntax error of an ES module is. Node shows file and line of such an error only when it dies of it,
 * so a worker could only report "Unexpected token". Used when an import has failed.
 */

import { pathToFileURL } from 'node:url'
import { reasonOf, stackOf } from '../../../kit/ground/failure.js'

const SEARCH_MS = 5000

/**
 * Puts file, line and the line's text in front of the stack of `thrown`, as Node does for CommonJS, if it is a syntax
 * error in a static import of the module `path`. Other errors stay as they are.
 */
export function addSyntaxErrorPlace(thrown: unknown, path: string): void {
  const stack = stackOf(thrown)
  if (!isWithoutPlace(stack) || !(thrown instanceof SyntaxError)) return
  const place = placeIn(dyingWords(path), reasonOf(thrown))
  // A stack that cannot be changed stays.
  if (place !== null) Reflect.set(thrown, 'stack', `${place}\n\n${stack}`)
}

/**
 * Only frames of Node itself: the error was neither thrown by code of the application (`JSON.parse`) nor has its place
 * already.
 */
export function isWithoutPlace(stack: string): boolean {
  const [first = '', ...frames] = stack.split('\n')
  return first.startsWith('SyntaxError: ') && frames.every(frame => /^ +at .*\bnode:/.test(frame))
}

/** The text before the error in the words of a dying Node, null if it died of something else. */
export function placeIn(words: string, message: string): string | null {
  const end = words.indexOf(`\n\nSyntaxError: ${message}\n`)
  return end === -1 ? null : words.slice(0, end)
}

/**
 * What Node prints when the module is its program. No code of the application runs: its modules are parsed before the
 * first one is evaluated, and that first one ends the process.
 */
function dyingWords(path: string): string {
  const program = `import 'data:text/javascript,process.exit()'; import ${JSON.stringify(pathToFileURL(path).href)}`
  // Here, because few starts need it and every start would pay for it.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: SEARCH_MS,
  })
  return stderr ?? ''
}
