/**
 * How long the end of the tree may take: the limit for hooks in `hook-points.ts`, and the total for the systemd unit
 * and `daimyo doctor`. Pure.
 */

import type { Settings } from '../config/values/settings.js'

type AtExitSettings = Pick<Settings, 'execTimeoutMs' | 'reloadMercyMs'>

export type StopSettings = AtExitSettings &
  Pick<Settings, 'workerReloadMercyMs' | 'execAsUserAtexit' | 'attachDaemon' | 'cron'>

/** The limit of each command of `exec-as-user-atexit`. */
export function atExitMs({ execTimeoutMs, reloadMercyMs }: AtExitSettings): number {
  return Math.min(execTimeoutMs, reloadMercyMs)
}

/**
 * The sum of three steps: first requests and workers, then the hooks at exit one after the other, then daemons and cron
 * jobs all at once.
 */
export function longestStopMs(settings: StopSettings): number {
  const { reloadMercyMs, workerReloadMercyMs, execAsUserAtexit, attachDaemon, cron } = settings
  const hooksMs = execAsUserAtexit.length * atExitMs(settings)
  const attachedMs = attachDaemon.length + cron.length === 0 ? 0 : reloadMercyMs
  return Math.max(reloadMercyMs, workerReloadMercyMs) + hooksMs + attachedMs
}
