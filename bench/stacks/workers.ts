/** Two plain Node processes with the application, each on a unix socket: the upstreams of every proxy but daimyo. */

import { join } from 'node:path'
import { type Bed, cleanEnvironment, type Plan, READY_PATH } from './stack.js'

/** The same number as the workers of daimyo. */
export const WORKER_COUNT = 2

/** The unix socket of worker 1, 2, … in the bed's folder. */
export function workerSockets(bed: Bed): string[] {
  return Array.from({ length: WORKER_COUNT }, (_, index) => join(bed.folder, `worker-${index + 1}.sock`))
}

/** The programs of these workers; the application takes its unix socket from PORT. */
export function workerPrograms(bed: Bed, stackName: string): Plan['programs'] {
  return workerSockets(bed).map((socketPath, index) => ({
    name: `${stackName} worker ${index + 1}`,
    command: process.execPath,
    args: [bed.app],
    env: cleanEnvironment({ PORT: socketPath }),
    logPath: join(bed.folder, `worker-${index + 1}.log`),
    ready: { url: `http://localhost${READY_PATH}`, socketPath },
  }))
}
