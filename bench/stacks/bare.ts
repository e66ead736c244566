/**
 * The reference for small JSON: one `node:http` server that clients ask directly. No proxy, no access log, no
 * metrics, one process.
 */

import { join } from 'node:path'
import { builtFile } from '../repository.js'
import { cleanEnvironment, READY_PATH, type Stack } from './stack.js'

/** The cost of Node itself for such a request. */
export const bare: Stack = {
  name: 'bare node:http',
  title: 'one node:http server that clients ask directly, as a reference: no proxy, no log, no metrics',
  kinds: ['json'],
  missing: () => null,
  plan: bed => {
    const url = `http://127.0.0.1:${bed.port}`
    const server = {
      name: 'bare node:http',
      command: process.execPath,
      args: [builtFile('bench/stacks/bare-server.js'), String(bed.port)],
      env: cleanEnvironment(),
      logPath: join(bed.folder, 'bare.log'),
      ready: { url: url + READY_PATH },
    }
    return { url, files: [], programs: [server] }
  },
}
