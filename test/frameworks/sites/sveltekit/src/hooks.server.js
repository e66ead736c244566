import { answers } from './answers.js'

process.on('sveltekit:shutdown', () => answers.cleanUp())
