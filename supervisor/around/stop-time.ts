/**
 * How long the end of the tree may take: what `hook-points.ts` gives a hook, and what the systemd unit and `daimyo doctor` reckon with. Pure.
 */

import type { Settings } from '../config/values/settings.js'

export type StopSettings = Pick<Settings, 'reloadMercyMs' | 'workerReloadMercyMs' | 'around'>

/** What each command of `exec-as-user-atexit` gets. */
export function atExitMs({ around, reloadMercyMs }: Pick<StopSettings, 'around' | 'reloadMercyMs'>): number {
  return Math.min(around.execMs, reloadMercyMs)
}

/** Requests and workers, behind them the hooks at exit one after the other, behind those the daemons and cron jobs all at once. */
export function longestStopMs(settings: StopSettings): number {
  const { reloadMercyMs, workerReloadMercyMs, around } = settings
  const hooksMs = around.execAtExit.length * atExitMs(settings)
  const companionsMs = around.daemons.length + around.crons.length === 0 ? 0 : reloadMercyMs
  return Math.max(reloadMercyMs, workerReloadMercyMs) + hooksMs + companionsMs
}
