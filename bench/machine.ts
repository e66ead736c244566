/**
 * The facts without which a figure means nothing: versions, kernel, cores, date. `main.ts` reads it once; `report.ts`
 * prints it.
 */

import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { versionOf } from './program.js'
import { topFolder } from './repository.js'
import { caddyVersion } from './stacks/caddy.js'
import { httpProxyVersion } from './stacks/http-proxy.js'

/** Printed in this order. A program that is missing has the version null. */
export interface Machine {
  date: string
  versions: Record<string, string | null>
  kernel: string
  cores: number
}

/** Asks each program for its version. The version of the kernel is given without the suffix of its builder. */
export function describeMachine(now = new Date()): Machine {
  return {
    date: now.toISOString().slice(0, 10),
    versions: {
      daimyo: JSON.parse(readFileSync(join(topFolder, 'package.json'), 'utf8')).version,
      node: process.versions.node,
      nginx: versionOf('nginx', ['-v'], /nginx\/(\S+)/),
      haproxy: versionOf('haproxy', ['-v'], /version (\d\S*)/),
      caddy: caddyVersion(),
      'http-proxy': httpProxyVersion(),
      wrk: versionOf('wrk', ['--version'], /^wrk (\S+)/m),
    },
    kernel: release().replace(/-.*$/, ''),
    cores: availableParallelism(),
  }
}

/** A warning when other work was running in the last minute, null when the machine was quiet. */
export function busyWarning(load = loadavg()[0] ?? 0, cores = availableParallelism()): string | null {
  if (load <= cores / 4) return null
  return `other work ran in the last minute (load ${load.toFixed(2)} on ${cores} cores): absolute figures will be too low, ratios less certain`
}
