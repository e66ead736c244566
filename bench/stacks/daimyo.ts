/**
 * daimyo itself, started by its real command on a generated INI: two workers, one proxy or two, access log and
 * metrics as by default.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { gcEnvironment } from '../gc.js'
import { builtFile } from '../repository.js'
import { NGINX_PROCESSES } from './nginx.js'
import { type Bed, cleanEnvironment, READY_PATH, type Stack } from './stack.js'
import { WORKER_COUNT } from './workers.js'

const command = builtFile('supervisor/daimyo.js')

/** Variables that are added to the environment of the master. */
type Addition = (bed: Bed) => Record<string, string>

/** With one proxy, which is the default: a front of one process, as http-proxy is. */
export const daimyo = stack('daimyo', 1)
/** With as many front processes as nginx has. */
export const daimyoWithTwoProxies = stack('daimyo, 2 proxies', NGINX_PROCESSES)

/** The product, with everything on that is on by default. */
function stack(name: string, proxies: number): Stack {
  const counting = variant(`${name}, counting garbage collection`, proxies, bed => gcEnvironment(bed.folder))
  return { ...variant(name, proxies, () => ({})), counting }
}

function variant(name: string, proxies: number, environment: Addition): Stack {
  return {
    name,
    title: `daimyo, http-processes = ${proxies}, 2 workers, default logging and metrics`,
    kinds: ['json', 'app', 'file'],
    missing: () =>
      existsSync(command) ? null : 'daimyo: supervisor/daimyo.js is not built: `node prepare.mjs` builds it',
    plan: bed => {
      const url = `http://127.0.0.1:${bed.port}`
      const master = {
        name,
        command: process.execPath,
        args: [command, '--ini', join(bed.folder, 'bench.ini')],
        env: cleanEnvironment(environment(bed)),
        logPath: join(bed.folder, 'master.log'),
        ready: { url: url + READY_PATH },
      }
      return { url, files: [{ name: 'bench.ini', text: benchIni(bed, proxies) }], programs: [master] }
    },
  }
}

/** The INI: only what says where things are and how many; the rest stays at its default. */
export function benchIni(bed: Bed, proxies: number): string {
  return `[uwsgi]
master = true
processes = ${WORKER_COUNT}
http-processes = ${proxies}
http = 127.0.0.1:${bed.port}
app = ${bed.app}
mount = /api
static-map = /static=${bed.siteFolder}
metrics = 127.0.0.1:${bed.sparePort}
run-dir = ${join(bed.folder, 'run')}
logto = ${join(bed.folder, 'daimyo.log')}
`
}
