// The Web standard shape: a default export with a fetch function, here one that needs its `this`.
import { fetchAnswersOf } from './fetch-answers.mjs'

export default {
  answer: fetchAnswersOf('esm-default-fetch'),
  fetch(request) {
    return this.answer(request)
  },
}
