/**
 * What the proxies need of the settings. Pure; called by `process-tree.ts` at the start and when a new generation has proved itself.
 */

import type {
  CompressionSettings,
  FileRoots,
  ProxySettings,
  RouteSpec,
  StaticSettings,
} from '../../kit/channel/messages.js'
import { realOf } from '../child/asset-grace.js'
import type { Generation } from '../child/master-context.js'
import type { Release } from '../child/release.js'
import type { Settings } from '../config/values/settings.js'

/** The settings of all proxies, with the folders that its release led to; `previous` from `asset-grace.ts`. Without an application nothing is routed to workers. */
export function proxySettings(
  { settings, release }: Pick<Generation, 'settings' | 'release'>,
  previous: StaticSettings['previous'] = [],
): ProxySettings {
  return {
    keepChildren: settings.keepChildren,
    routes: routes(settings, release),
    checkStatic: settings.checkStatic.map(folder => realOf(release, folder)),
    files: { ...settings.files, safe: settings.files.safe.map(folder => realOf(release, folder)), previous },
    harakiriMs: settings.harakiriMs,
    mountHarakiri: mountHarakiri(settings),
    harakiriQueue: settings.harakiriQueue,
    headBytes: settings.headBytes,
    headFields: settings.headFields,
    targetBytes: settings.targetBytes,
    postBytes: settings.postBytes,
    postBufferingBytes: settings.postBufferingBytes,
    queueRequests: settings.queueRequests,
    queueMs: settings.queueMs,
    workerConnections: settings.workerConnections,
    lazy: settings.lazy,
    upstreamConnectMs: settings.upstreamConnectMs,
    upstreamMaxFails: settings.upstreamMaxFails,
    upstreamGraceMs: settings.upstreamGraceMs,
    headMs: settings.headMs,
    keepAliveMs: settings.keepAliveMs,
    tunnelIdleMs: settings.tunnelIdleMs,
    keepAliveRequests: settings.keepAliveRequests,
    bodyMs: settings.bodyMs,
    bodyBytesPerSecond: settings.bodyBytesPerSecond,
    sendMs: settings.sendMs,
    halfCloseMs: settings.halfCloseMs,
    connections: settings.connections,
    connectionsPerAddress: settings.connectionsPerAddress,
    accessLog: settings.accessLog ? { path: settings.logto ?? '' } : null,
    metricsAuth: settings.metricsAuth,
    trustedProxies: settings.trustedProxies,
    sticky: settings.sticky,
    requestIdOnAnswers: settings.requestIdOnAnswers,
    requestIdInLog: settings.requestIdInLog,
    quarantine: settings.quarantine,
    compression: compression(settings),
    fileRoots: fileRoots(settings, release),
    errorPages: settings.errorPages,
  }
}

/** The longest first, so that the first one that fits counts; of equal ones the last. */
function mountHarakiri(settings: Settings): ProxySettings['mountHarakiri'] {
  const last = new Map(settings.mountHarakiri.map(({ mount, ms }) => [mount === '/' ? mount : `${mount}/`, ms]))
  return [...last].map(([prefix, ms]) => ({ prefix, ms })).sort((a, b) => b.prefix.length - a.prefix.length)
}

/** At equal liking of the client, the one with the best relation of size and time first. */
function compression(settings: Settings): CompressionSettings | null {
  const codings: CompressionSettings['codings'] = []
  if (settings.autoZstd) codings.push({ coding: 'zstd', level: settings.zstdLevel })
  if (settings.autoBr) codings.push({ coding: 'br', level: settings.brotliLevel })
  if (settings.autoGzip) codings.push({ coding: 'gzip', level: settings.gzipLevel })
  const { gzipTypes: types, gzipMinBytes: minBytes, gzipStreams: streams } = settings
  return codings.length === 0 ? null : { codings, types, minBytes, streams }
}

/** An application may know a folder of `x-sendfile-root` as the INI writes it, or by where it really is: its own modules are loaded from there. */
function fileRoots({ internalMaps, sendfileRoots }: Settings, release: Release): FileRoots {
  return {
    internal: internalMaps.map(({ mount, folder }) => ({ prefix: mount, folder: realOf(release, folder) })),
    sendfile: sendfileRoots.flatMap(written => {
      const folder = realOf(release, written)
      return [...new Set([written, folder])].map(prefix => ({ prefix, folder }))
    }),
  }
}

function routes({ app, mounts, staticMaps, upstreams, metricsPath }: Settings, release: Release): RouteSpec[] {
  return [
    ...(metricsPath === null ? [] : [{ kind: 'metrics', prefix: metricsPath } as const]),
    ...staticMaps.map(({ mount, folder, ...rest }) => {
      return { kind: 'static', prefix: mount, folder: realOf(release, folder), ...rest } as const
    }),
    ...upstreams.map(({ mount, addresses }) => ({ kind: 'upstream', prefix: mount, upstreams: addresses }) as const),
    ...(app === null ? [] : mounts.map(prefix => ({ kind: 'app', prefix }) as const)),
  ]
}
