import { defineNitroPlugin } from 'nitropack/runtime'
import { answers } from '../answers.js'

export default defineNitroPlugin(application => application.hooks.hook('close', answers.cleanUp))
