/**
 * The settings of the proxies: the options that go to the proxies unchanged, folders as the release resolves them, and
 * settings that combine several options. The master sends them at the start and when a new generation has proved
 * itself. Pure.
 */

import type { FileRoots, ProxySettings, RouteSpec } from '../../kit/channel/messages.js'
import { proxyOptions } from '../../kit/options/settings.js'
import { realOf } from '../child/asset-grace.js'
import type { Generation } from '../child/master-context.js'
import type { Release } from '../child/release.js'
import type { Settings } from '../config/values/settings.js'

/**
 * The settings of all proxies. `previousFolders` comes from `asset-grace.ts`. Without an application, no route leads to
 * workers.
 */
export function proxySettings(
  { settings, release }: Pick<Generation, 'settings' | 'release'>,
  previousFolders: ProxySettings['previousFolders'] = [],
): ProxySettings {
  return {
    ...proxyOptions(settings),
    checkStatic: settings.checkStatic.map(folder => realOf(release, folder)),
    staticSafe: settings.staticSafe.map(folder => realOf(release, folder)),
    mountHarakiri: mountHarakiri(settings),
    locations: settings.locations,
    routes: routes(settings, release),
    fileRoots: fileRoots(settings, release),
    accessLog: settings.disableLogging ? null : { path: settings.logto ?? '' },
    previousFolders,
  }
}

/**
 * `mount-harakiri`, and `harakiri` of locations. The longest mount first, because the first match counts. Of equal
 * mounts the last one counts. Each ends with a slash.
 */
function mountHarakiri(settings: Settings): Settings['mountHarakiri'] {
  const ofLocations = settings.locations.flatMap(({ prefix, settings: { harakiriMs: ms } }) =>
    ms === undefined ? [] : [{ mount: prefix, ms }],
  )
  const all = [...settings.mountHarakiri, ...ofLocations]
  const last = new Map(all.map(({ mount, ms }) => [mount === '/' ? mount : `${mount}/`, ms]))
  return [...last].map(([mount, ms]) => ({ mount, ms })).sort((a, b) => b.mount.length - a.mount.length)
}

/**
 * An application may name a folder of `x-sendfile-root` as the INI does, or by its real path, from which its modules
 * are loaded.
 */
function fileRoots({ internal, xSendfileRoot }: Settings, release: Release): FileRoots {
  return {
    internal: internal.map(({ mount, folder }) => ({ prefix: mount, folder: realOf(release, folder) })),
    sendfile: xSendfileRoot.flatMap(written => {
      const folder = realOf(release, written)
      return [...new Set([written, folder])].map(prefix => ({ prefix, folder }))
    }),
  }
}

function routes({ app, mount, staticMap, httpTo: upstreams, metricsPath }: Settings, release: Release): RouteSpec[] {
  return [
    ...(metricsPath === null ? [] : [{ kind: 'metrics', prefix: metricsPath } as const]),
    ...staticMap.map(({ mount, folder, ...rest }) => {
      return { kind: 'static', prefix: mount, folder: realOf(release, folder), ...rest } as const
    }),
    ...upstreams.map(({ mount, addresses }) => ({ kind: 'upstream', prefix: mount, upstreams: addresses }) as const),
    ...(app === null ? [] : mount.map(prefix => ({ kind: 'app', prefix }) as const)),
  ]
}
