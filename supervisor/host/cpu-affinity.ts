/**
 * Which CPUs a worker may use (`cpu-affinity`). The worker moves to them itself
 * (`app/host/application/move-to-cpus.ts`), because Node has no call for it. Only CPUs that the master may use are
 * assigned (taskset, AllowedCPUs= of systemd). They are looked up again for each worker.
 */

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { statusField } from '../../kit/process/process-stat.js'

/** The CPUs for the worker of this slot. Null: `perWorker` is 0, so it may use all. */
export function affinityOf(slot: number, perWorker: number): number[] | null {
  return perWorker === 0 ? null : cpusOfSlot(slot, perWorker, allowedCpus())
}

/**
 * Assigns CPUs as uWSGI does: `perWorker` for each slot, slot by slot, and after the last CPU the first one again.
 * Pure.
 */
export function cpusOfSlot(slot: number, perWorker: number, allowed: readonly number[]): number[] {
  const first = (slot - 1) * perWorker
  const count = Math.min(perWorker, allowed.length)
  return Array.from({ length: count }, (_, index) => allowed[(first + index) % allowed.length] ?? 0)
}

/** Parses `0-3,8`, the kernel's format of CPU lists (cpuset(7)). Pure. */
export function readCpuList(list: string): number[] {
  return [...list.matchAll(/(\d+)(?:-(\d+))?/g)].flatMap(([, first, last = first]) => {
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index)
  })
}

function allowedCpus(): number[] {
  try {
    const list = statusField(readFileSync('/proc/self/status', 'utf8'), 'Cpus_allowed_list') ?? ''
    const cpus = readCpuList(list)
    if (cpus.length > 0) return cpus
  } catch {
    // ENOENT: the system has no /proc.
  }
  return Array.from({ length: availableParallelism() }, (_, cpu) => cpu)
}
