/**
 * How long the end of the tree may take: the time for hooks in `hook-points.ts`, and the bound for the systemd unit and
 * `daimyo doctor`. Pure.
 */

import type { Settings } from '../config/values/settings.js'

type AtExitSettings = Pick<Settings, 'execTimeoutMs' | 'reloadMercyMs'>

export type StopSettings = AtExitSettings &
  Pick<Settings, 'workerReloadMercyMs' | 'execAsUserAtexit' | 'attachDaemon' | 'cron'>

/** The time of each command of `exec-as-user-atexit`. */
export function atExitMs({ execTimeoutMs, reloadMercyMs }: AtExitSettings): number {
  return Math.min(execTimeoutMs, reloadMercyMs)
}

/**
 * Requests and workers; after them the hooks at exit one after the other; after those the daemons and cron jobs all at
 * once.
 */
export function longestStopMs(settings: StopSettings): number {
  const { reloadMercyMs, workerReloadMercyMs, execAsUserAtexit, attachDaemon, cron } = settings
  const hooksMs = execAsUserAtexit.length * atExitMs(settings)
  const attachedMs = attachDaemon.length + cron.length === 0 ? 0 : reloadMercyMs
  return Math.max(reloadMercyMs, workerReloadMercyMs) + hooksMs + attachedMs
}
