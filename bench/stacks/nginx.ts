/**
 * The stack that daimyo replaces: nginx in front of two Node processes. Its own prefix, pid file and logs in the
 * bed's folder.
 */

import { join } from 'node:path'
import { findExecutable } from '../program.js'
import { type Bed, cleanEnvironment, type Plan, READY_PATH, type Stack } from './stack.js'
import { WORKER_COUNT, workerPrograms, workerSockets } from './workers.js'

/** One for each worker. */
export const NGINX_PROCESSES = WORKER_COUNT

/** nginx with two processes and kept-alive connections to its upstreams. */
export const nginx: Stack = {
  name: 'nginx',
  title: 'nginx, 2 processes, kept-alive upstream connections, access log + 2 Node workers on unix sockets',
  kinds: ['json', 'app', 'file'],
  missing: () => (findExecutable('nginx') === null ? 'nginx: not found: install the Debian package nginx' : null),
  plan: bed => {
    const url = `http://127.0.0.1:${bed.port}`
    return {
      url,
      files: [{ name: 'nginx.conf', text: nginxConf(bed, process.geteuid?.() === 0) }],
      programs: [...workerPrograms(bed, 'nginx'), { ...nginxProgram(bed), ready: { url: url + READY_PATH } }],
    }
  },
}

/**
 * Its configuration. It has the settings that a site would use for speed (keep-alive to the upstreams, `sendfile`,
 * `tcp_nopush`), and sets the same forwarding fields as daimyo. Only root may name a `user`; if root names none, the
 * workers become `nobody`, who may not enter the temporary folder.
 */
export function nginxConf(bed: Bed, asRoot: boolean): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `  ${name}_temp_path ${name}_temp;`,
  )
  return `${asRoot ? 'user root;\n' : ''}daemon off;
worker_processes ${NGINX_PROCESSES};
pid nginx.pid;
error_log error.log;
events {
  worker_connections 4096;
}
http {
  access_log access.log combined;
  sendfile on;
  tcp_nopush on;
  default_type text/plain;
${temporary.join('\n')}
  upstream farm {
${workerSockets(bed)
  .map(path => `    server unix:${path};`)
  .join('\n')}
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${bed.port};
    location /api/ {
      proxy_pass http://farm;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }
    location /static/ {
      alias ${bed.siteFolder}/;
    }
  }
}
`
}

function nginxProgram(bed: Bed): Omit<Plan['programs'][number], 'ready'> {
  return {
    name: 'nginx',
    command: findExecutable('nginx') ?? 'nginx',
    // `-e`: before nginx has read its configuration, it writes to the log that was set at its build, which belongs to
    // root.
    args: ['-p', `${bed.folder}/`, '-e', join(bed.folder, 'error.log'), '-c', join(bed.folder, 'nginx.conf')],
    env: cleanEnvironment(),
    logPath: join(bed.folder, 'nginx.log'),
  }
}
