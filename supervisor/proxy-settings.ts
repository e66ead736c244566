/**
 * What the proxies need of the settings. Pure; called by `master.ts` at the start and by `reload.ts` when a new generation proved itself.
 */

import type { ProxySettings, RouteSpec } from '../kit/messages.js'
import type { Settings } from './config/settings.js'

/** The settings of all proxies. Without an application nothing is routed to workers. */
export function proxySettings(settings: Settings): ProxySettings {
  return {
    routes: routes(settings),
    checkStatic: settings.checkStatic,
    files: {
      index: ['index.html'],
      skipExt: [],
      safe: [],
      precompressed: [],
      expires: [],
      immutable: false,
      fallbacks: [],
      cacheBytes: 32 * 1024 ** 2,
      cacheFileBytes: 128 * 1024,
      cacheEntries: 4096,
      previous: [],
    },
    harakiriMs: settings.harakiriMs,
    headBytes: settings.headBytes,
    postBufferingBytes: settings.postBufferingBytes,
    queueRequests: settings.queueRequests,
    queueMs: settings.queueMs,
    workerConnections: settings.workerConnections,
    headMs: settings.headMs,
    keepAliveMs: settings.keepAliveMs,
    accessLog: settings.accessLog ? { path: settings.logto ?? '' } : null,
    metricsAuth: settings.metricsAuth,
  }
}

function routes({ app, mounts, staticMaps, metricsPath }: Settings): RouteSpec[] {
  return [
    ...(metricsPath === null ? [] : [{ kind: 'metrics', prefix: metricsPath } as const]),
    ...staticMaps.map(({ mount, folder }) => ({ kind: 'static', prefix: mount, folder }) as const),
    ...(app === null ? [] : mounts.map(prefix => ({ kind: 'app', prefix }) as const)),
  ]
}
