/**
 * The page that a single-page application shows for every path (`static-fallback`): for a request with no file and no
 * application mount. Pure.
 *
 * It is sent for GET and HEAD if a browser navigates: `Sec-Fetch-Mode: navigate`, which all current browsers send, or
 * without that field an `Accept` that names `text/html`. So a missing script, image or target of `fetch` stays a 404.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import { headerValue, type RequestHead } from '../http/request-head.js'
import { pathBelow, type RouteTable } from '../route/route-table.js'
import type { Place } from './stored-file.js'

/** The request fields that decide between the page and a 404. */
export const FALLBACK_VARY = 'Accept, Sec-Fetch-Mode'

/** Where the page may be, in the order of the search; empty: the request gets none. The longest mount counts. */
export function fallbackPlaces(
  { staticFallback, checkStatic }: Pick<ProxySettings, 'staticFallback' | 'checkStatic'>,
  routes: RouteTable,
  path: string,
  head: RequestHead,
): Place[] {
  if (staticFallback.length === 0 || !isNavigation(head)) return []
  const [nearest] = staticFallback
    .filter(({ mount }) => mount === '/' || path === mount || path.startsWith(`${mount}/`))
    .sort((a, b) => b.mount.length - a.mount.length)
  if (nearest === undefined) return []
  const route = routes.match(nearest.path)
  if (route?.kind === 'static') return [{ folder: route.folder, path: pathBelow(route, nearest.path) }]
  return checkStatic.map(folder => ({ folder, path: nearest.path }))
}

/** Whether a browser shows the response as a page. */
export function isNavigation(head: RequestHead): boolean {
  if (head.method !== 'GET' && head.method !== 'HEAD') return false
  const mode = headerValue(head, 'sec-fetch-mode')
  if (mode !== undefined) return mode === 'navigate'
  return /(?:^|,)[ \t]*(?:text\/html|application\/xhtml\+xml)[ \t]*(?:[;,]|$)/i.test(headerValue(head, 'accept') ?? '')
}
