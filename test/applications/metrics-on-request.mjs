/**
 * Preloaded (`--import`) beside an application under test: answers each IPC message with the text of its prom-client registry, as the
 * server that runs the application collects it.
 */
import { register } from 'prom-client'

process.on('message', async () => process.send(await register.metrics()))
