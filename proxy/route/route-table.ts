/**
 * The routes of the configuration, compiled once for each new configuration. The longest prefix wins, as with nginx's
 * locations. A prefix matches whole segments (`/api` takes `/api` and `/api/x`, not `/apix`).
 */

import type { RouteSpec } from '../../kit/channel/messages.js'
import type { UpstreamAddress } from '../../kit/options/values/value-types.js'
import { looseReadings } from '../http/target-path.js'

export interface Route {
  kind: RouteSpec['kind']
  /** As configured, without a slash at the end; the label of its metrics. */
  mount: string
  /** Absolute folder of a `static` route. */
  folder: string
  /** The path in the folder also begins with the mount. */
  keepsMount: boolean
  /** Of an `upstream` route. */
  upstreams: UpstreamAddress[]
}

export class RouteTable {
  readonly #routes: { route: Route; inside: string }[]

  constructor(specs: RouteSpec[]) {
    this.#routes = specs
      .map(compile)
      .sort((a, b) => b.inside.length - a.inside.length || RANK[a.route.kind] - RANK[b.route.kind])
  }

  /** The route of a path that `routingPath` made, or null. */
  match(path: string): Route | null {
    for (const { route, inside } of this.#routes) {
      if (path.startsWith(inside) || path === route.mount) return route
    }
    return null
  }

  /**
   * The path of a target that `routingPath` has none for, if all readings of it lead to the same place; else null. The
   * path of a file is its name on disk, which contains no encoded slash.
   */
  agreedPath(target: string): string | null {
    const readings = looseReadings(target)
    if (readings === null) return null
    const { kept, undone, name } = readings
    const route = this.match(undone)
    const path = name ?? kept
    if (this.match(kept) !== route || this.match(path) !== route) return null
    if (route === null || route.kind === 'app' || route.kind === 'upstream') return path
    // If there is no such file, the application behind the map gets the request.
    return route.kind === 'static' && this.application(path) === this.application(undone) ? name : null
  }

  /** For a path that is a file under a static map: the application mount or the upstreams behind the map, or null. */
  application(path: string): Route | null {
    for (const { route, inside } of this.#routes) {
      if ((route.kind === 'app' || route.kind === 'upstream') && (path.startsWith(inside) || path === route.mount))
        return route
    }
    return null
  }
}

/** At the same prefix: built-in endpoints, then files, then applications and upstreams. */
const RANK = { metrics: 0, static: 1, upstream: 2, app: 3 }

function compile(spec: RouteSpec): { route: Route; inside: string } {
  const prefix = spec.prefix.replace(/\/+$/, '')
  const folder = spec.kind === 'static' ? spec.folder : ''
  const keepsMount = spec.kind === 'static' && spec.keepsMount === true
  const upstreams = spec.kind === 'upstream' ? spec.upstreams : []
  return {
    route: { kind: spec.kind, mount: prefix === '' ? '/' : prefix, folder, keepsMount, upstreams },
    inside: `${prefix}/`,
  }
}

/** The path below a mount, beginning with a slash: the path inside a static folder. */
export function pathBelow(route: Route, path: string): string {
  if (route.mount === '/' || route.keepsMount) return path
  return path.length === route.mount.length ? '/' : path.slice(route.mount.length)
}
