/**
 * Which path goes where: the routes of the configuration, compiled once for each new configuration.
 * The longest prefix wins, as nginx's locations; a prefix matches whole segments (`/api` takes `/api` and `/api/x`, not
 * `/apix`).
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
  /** In the folder the path begins with the mount too. */
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
   * The path of a target that `routingPath` has none for, if all its readers would send it to the same place; else
   * null. That of a file is the name on disk, and an encoded slash is in none.
   */
  agreedPath(target: string): string | null {
    const readings = looseReadings(target)
    if (readings === null) return null
    const { kept, undone, name } = readings
    const route = this.match(undone)
    const path = name ?? kept
    if (this.match(kept) !== route || this.match(path) !== route) return null
    if (route === null || route.kind === 'app' || route.kind === 'upstream') return path
    // Where there is no such file the application behind the map is asked.
    return route.kind === 'static' && this.application(path) === this.application(undone) ? name : null
  }

  /**
   * Where the path is a file under a static map, the application mount or the upstreams that stand behind it, or null.
   */
  application(path: string): Route | null {
    for (const { route, inside } of this.#routes) {
      if ((route.kind === 'app' || route.kind === 'upstream') && (path.startsWith(inside) || path === route.mount))
        return route
    }
    return null
  }
}

/** At the same prefix: built-in endpoints, then files, then what answers requests. */
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

/** The path below a mount, beginning with a slash: what a static folder is asked for. */
export function pathBelow(route: Route, path: string): string {
  if (route.mount === '/' || route.keepsMount) return path
  return path.length === route.mount.length ? '/' : path.slice(route.mount.length)
}
