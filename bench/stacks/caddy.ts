/**
 * Caddy in front of two Node processes. It serves the files itself. Its configuration, its state and its log are in the
 * bed's folder.
 */

import { join } from 'node:path'
import { findExecutable, versionOf } from '../program.js'
import { NGINX_PROCESSES } from './nginx.js'
import { type Bed, cleanEnvironment, READY_PATH, type Stack } from './stack.js'
import { workerPrograms, workerSockets } from './workers.js'

/** Caddy with `reverse_proxy` and `file_server`; Go code runs on as many threads at once as nginx has processes. */
export const caddy: Stack = {
  name: 'Caddy',
  title: 'Caddy, GOMAXPROCS = 2, kept-alive upstream connections, access log + 2 Node workers on unix sockets',
  kinds: ['json', 'app', 'file'],
  isPeer: true,
  missing: () => (findExecutable('caddy') === null ? 'Caddy: not found: install the Debian package caddy' : null),
  plan: bed => {
    const url = `http://127.0.0.1:${bed.port}`
    const state = join(bed.folder, 'state')
    const program = {
      name: 'Caddy',
      command: findExecutable('caddy') ?? 'caddy',
      args: ['run', '--config', join(bed.folder, 'Caddyfile'), '--adapter', 'caddyfile'],
      env: cleanEnvironment({ GOMAXPROCS: String(NGINX_PROCESSES), XDG_DATA_HOME: state, XDG_CONFIG_HOME: state }),
      logPath: join(bed.folder, 'caddy.log'),
      ready: { url: url + READY_PATH },
    }
    return {
      url,
      files: [{ name: 'Caddyfile', text: caddyfile(bed, caddyVersion() ?? '') }],
      programs: [...workerPrograms(bed, 'Caddy'), program],
    }
  },
}

/** The installed version, null when there is none. */
export function caddyVersion(): string | null {
  return versionOf('caddy', ['version'], /^v?(\d\S*)/)
}

/**
 * Its configuration. Caddy adds the forwarded fields by itself. It keeps as many idle connections to the workers as
 * nginx does, and leaves its log as one file: it would compress a log of 100 MB.
 * It buffers the body of a request, as nginx does: without that, some connections break off where the application
 * responds before it has read the whole body, because Go reads no body after that.
 */
export function caddyfile(bed: Bed, version: string): string {
  const upstreams = workerSockets(bed).map(path => `unix/${path}`)
  return `{
	admin off
	auto_https off
}
http://:${bed.port} {
	bind 127.0.0.1
	log {
		output file ${join(bed.folder, 'access.log')} {
			roll_disabled
		}
	}
	handle /api/* {
		reverse_proxy ${upstreams.join(' ')} {
			lb_policy round_robin
			${buffersRequests(version)}
			transport http {
				keepalive_idle_conns_per_host 64
			}
		}
	}
	handle_path /static/* {
		root * ${bed.siteFolder}
		file_server
	}
}
`
}

/** Caddy 2.6.3 has another name for it. */
function buffersRequests(version: string): string {
  const isOld = version.localeCompare('2.6.3', 'en', { numeric: true }) < 0
  return isOld ? 'buffer_requests' : 'request_buffers 64KB'
}
