/**
 * The load balancer that many sites have: HAProxy in front of two Node processes. Its configuration and its log are in
 * the bed's folder. It serves no files.
 */

import { join } from 'node:path'
import { findExecutable } from '../program.js'
import { NGINX_PROCESSES } from './nginx.js'
import { type Bed, cleanEnvironment, READY_PATH, type Stack } from './stack.js'
import { workerPrograms, workerSockets } from './workers.js'

/** HAProxy in HTTP mode, with as many threads as nginx has processes. */
export const haproxy: Stack = {
  name: 'HAProxy',
  title: 'HAProxy, HTTP mode, 2 threads, kept-alive server connections, access log + 2 Node workers on unix sockets',
  kinds: ['json', 'app'],
  isPeer: true,
  missing: () => (findExecutable('haproxy') === null ? 'HAProxy: not found: install the Debian package haproxy' : null),
  plan: bed => {
    const url = `http://127.0.0.1:${bed.port}`
    const program = {
      name: 'HAProxy',
      command: findExecutable('haproxy') ?? 'haproxy',
      // `-db`: it stays in the foreground.
      args: ['-db', '-f', join(bed.folder, 'haproxy.cfg')],
      env: cleanEnvironment(),
      logPath: join(bed.folder, 'haproxy.log'),
      ready: { url: url + READY_PATH },
    }
    return {
      url,
      files: [{ name: 'haproxy.cfg', text: haproxyConf(bed) }],
      programs: [...workerPrograms(bed, 'HAProxy'), program],
    }
  },
}

/**
 * Its configuration. Standard output is the access log: HAProxy itself writes no other file. `http-reuse always` shares
 * idle connections to the workers as nginx does. `maxconn` bounds its memory where the limit of descriptors is huge, and
 * without `no strict-limits` it would not start where that limit is small.
 */
export function haproxyConf(bed: Bed): string {
  const servers = workerSockets(bed).map((path, index) => `  server worker-${index + 1} unix@${path}`)
  return `global
  nbthread ${NGINX_PROCESSES}
  maxconn 4096
  no strict-limits
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend clients
  bind 127.0.0.1:${bed.port}
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend farm
backend farm
  balance roundrobin
${servers.join('\n')}
`
}
