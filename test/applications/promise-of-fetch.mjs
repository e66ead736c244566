// An ES module whose default export is a Promise of an object with a fetch function.
import { readFile } from 'node:fs/promises'
import { fetchAnswersOf } from './fetch-answers.mjs'

export default readFile(new URL(import.meta.url)).then(() => ({ fetch: fetchAnswersOf('promise-of-fetch') }))
