/**
 * The common part of the stacks. A stack describes what to start (`plan`, pure); this file starts it, waits until it
 * answers and stops it. One file beside this one for each stack; `list.ts` lists them.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, reasonOf } from '../../kit/ground/failure.js'
import { type Question, waitUntilAnswers } from '../ask.js'
import type { CaseKind } from '../cases.js'
import { Program, type ProgramSpec } from '../program.js'

export interface Stack {
  name: string
  /** A description for the report. */
  title: string
  /** The cases that it can answer. */
  kinds: readonly CaseKind[]
  /** It runs only at the numbers of connections that a case names for peers. */
  isPeer?: boolean
  /** The same stack with proxies that count their garbage collection (`gc.ts`). */
  counting?: Stack
  /** The program that this machine lacks, with the package to install; null if the stack can be started. */
  missing(): string | null
  plan(bed: Bed): Plan
}

/**
 * What a stack may use: a folder of its own, two free ports, the application's entry file and the folder of static
 * files.
 */
export interface Bed {
  folder: string
  port: number
  sparePort: number
  app: string
  siteFolder: string
}

/** Files to write (paths below the bed's folder) and programs to start, each when the one before it answers. */
export interface Plan {
  url: string
  files: { name: string; text: string }[]
  programs: (ProgramSpec & { ready: Question })[]
}

/** A started stack. `pids`: the programs started; their descendants belong to it too. */
export interface RunningStack {
  name: string
  kinds: readonly CaseKind[]
  isPeer: boolean
  url: string
  folder: string
  pids: number[]
  /** Its twin that counts garbage collection, if it has one. */
  counting?: RunningStack
  /** Ends all its processes and waits for that; fulfilled with remarks on those that did not go by themselves. */
  stop(): Promise<string[]>
}

/** The path that every stack answers with a 200 once it works. */
export const READY_PATH = '/api/v1/_about'

const START_MS = 20_000

/**
 * Starts what the stack plans; when one program fails, stops the others and rejects with a Failure that shows its last
 * lines.
 */
export async function startStack(stack: Stack, bed: Bed, signal: AbortSignal): Promise<RunningStack> {
  const plan = stack.plan(bed)
  mkdirSync(bed.folder, { recursive: true })
  for (const { name, text } of plan.files) writeFileSync(join(bed.folder, name), text)
  const programs: Program[] = []
  try {
    for (const { ready, ...spec } of plan.programs) programs.push(await startProgram(spec, ready, signal))
  } catch (error) {
    await stopAll(programs)
    throw error
  }
  return {
    name: stack.name,
    kinds: stack.kinds,
    isPeer: stack.isPeer === true,
    url: plan.url,
    folder: bed.folder,
    pids: programs.map(({ pid }) => pid),
    stop: () => stopAll(programs),
  }
}

/**
 * The environment of every program. It has nothing of the environment of the bench, so that two runs can be compared.
 */
export function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? '', NODE_ENV: 'production', ...extra }
}

async function startProgram(spec: ProgramSpec, ready: Question, signal: AbortSignal): Promise<Program> {
  signal.throwIfAborted()
  const program = await Program.start(spec)
  try {
    await waitUntilAnswers(ready, () => program.end, START_MS, signal)
    return program
  } catch (error) {
    await program.stop()
    signal.throwIfAborted()
    throw new Failure(
      'BENCH_START',
      `starting a program failed: ${spec.name}: ${reasonOf(error)}\n${program.lastLines()}`,
      undefined,
      error,
    )
  }
}

/** The last one started goes first: a proxy before the workers behind it. */
async function stopAll(programs: readonly Program[]): Promise<string[]> {
  const remarks: string[] = []
  for (const program of programs.toReversed()) remarks.push(...(await program.stop()))
  return remarks
}
