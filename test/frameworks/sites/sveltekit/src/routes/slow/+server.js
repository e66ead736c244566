import { answers } from '../../answers.js'

export const GET = () => new Promise(resolve => answers.afterAWhile(() => resolve(new Response('slow'))))
