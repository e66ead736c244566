/**
 * The application in two workers of `node:cluster`, which is what `pm2 start app.js -i 2` runs. Clients talk to the
 * workers themselves: no proxy, so no files, no forwarded fields and no access log.
 */

import { join } from 'node:path'
import { builtFile } from '../repository.js'
import { cleanEnvironment, READY_PATH, type Stack } from './stack.js'
import { WORKER_COUNT } from './workers.js'

/** A connection belongs to one worker, and each worker gets every second one. */
export const cluster: Stack = {
  name: 'node:cluster',
  title:
    '2 workers of node:cluster (as `pm2 -i 2`), which clients ask directly: no proxy, no log, no forwarded headers',
  kinds: ['json', 'app'],
  isPeer: true,
  missing: () => null,
  plan: bed => {
    const url = `http://127.0.0.1:${bed.port}`
    const program = {
      name: 'node:cluster',
      command: process.execPath,
      args: [builtFile('bench/stacks/cluster-server.js'), bed.app, String(WORKER_COUNT)],
      env: cleanEnvironment({ PORT: String(bed.port), HOST: '127.0.0.1' }),
      logPath: join(bed.folder, 'cluster.log'),
      ready: { url: url + READY_PATH },
    }
    return { url, files: [], programs: [program] }
  },
}
