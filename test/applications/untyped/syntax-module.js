// No "type" in package.json: an ES module by its syntax, with a top-level await that `require` cannot load.
import { answersOf } from '../answers.cjs'

await new Promise(setImmediate)
export default answersOf('syntax-module')
