/**
 * How long the end of the tree may take: what `hook-points.ts` gives a hook, and what the systemd unit and `daimyo
 * doctor` reckon with. Pure.
 */

import type { Settings } from '../config/values/settings.js'

type AtExitSettings = Pick<Settings, 'execTimeoutMs' | 'reloadMercyMs'>

export type StopSettings = AtExitSettings &
  Pick<Settings, 'workerReloadMercyMs' | 'execAsUserAtexit' | 'attachDaemon' | 'cron'>

/** What each command of `exec-as-user-atexit` gets. */
export function atExitMs({ execTimeoutMs, reloadMercyMs }: AtExitSettings): number {
  return Math.min(execTimeoutMs, reloadMercyMs)
}

/**
 * Requests and workers, behind them the hooks at exit one after the other, behind those the daemons and cron jobs all
 * at once.
 */
export function longestStopMs(settings: StopSettings): number {
  const { reloadMercyMs, workerReloadMercyMs, execAsUserAtexit, attachDaemon, cron } = settings
  const hooksMs = execAsUserAtexit.length * atExitMs(settings)
  const attachedMs = attachDaemon.length + cron.length === 0 ? 0 : reloadMercyMs
  return Math.max(reloadMercyMs, workerReloadMercyMs) + hooksMs + attachedMs
}
