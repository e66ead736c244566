/**
 * The usual choice if everything must be Node: the package `http-proxy` in one process, in front of two Node processes.
 */

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { codeOf } from '../../kit/ground/failure.js'
import { builtFile } from '../repository.js'
import { cleanEnvironment, READY_PATH, type Stack } from './stack.js'
import { workerPrograms, workerSockets } from './workers.js'

/** http-proxy with a keep-alive agent, the workers in turn. It serves no files. */
export const httpProxy: Stack = {
  name: 'http-proxy',
  title: 'http-proxy in one Node process with a keep-alive agent + 2 Node workers on unix sockets',
  kinds: ['json', 'app'],
  missing: () =>
    httpProxyVersion() === null ? 'http-proxy: not found: install the npm package http-proxy (`npm ci` does)' : null,
  plan: bed => {
    const url = `http://127.0.0.1:${bed.port}`
    const proxy = {
      name: 'http-proxy',
      command: process.execPath,
      args: [builtFile('bench/stacks/http-proxy-server.js'), String(bed.port), ...workerSockets(bed)],
      env: cleanEnvironment(),
      logPath: join(bed.folder, 'http-proxy.log'),
      ready: { url: url + READY_PATH },
    }
    return { url, files: [], programs: [...workerPrograms(bed, 'http-proxy'), proxy] }
  },
}

/** The installed version, null when there is none. */
export function httpProxyVersion(): string | null {
  try {
    return createRequire(import.meta.url)('http-proxy/package.json').version
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return null
    throw error
  }
}
