import { defineEventHandler } from 'h3'
import { answers } from '../answers.js'

export default defineEventHandler(() => new Promise(resolve => answers.afterAWhile(() => resolve('slow'))))
