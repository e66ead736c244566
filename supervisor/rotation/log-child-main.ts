/**
 * The process that moves a log away and makes the new one (`log-child.ts`). It runs as the user that decides about the
 * folder: root only if root alone does. Must stay true: it works on the log that its one argument names, and on nothing
 * else. It keeps the log open, so that the master can open it through this descriptor (`offered-log.ts`), until the
 * master kills it or has ended itself.
 */

import { closeSync, readSync, writeSync } from 'node:fs'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, Failure, reasonOf } from '../../kit/ground/failure.js'
import { openLogFile } from '../../kit/log/log-file.js'
import { type FolderNames, namesIn } from '../user/folder-names.js'
import { excessBackups, moveLog } from './log-backup.js'

/** The request to the child. `leastBytes` null: nothing is moved. `opens`: the log is made, and kept open. */
export interface LogRequest {
  path: string
  owner: Credentials | null
  leastBytes: number | null
  kept: number
  /** Whether the names in the folder may be read. */
  looks: boolean
  opens: boolean
}

/** Its answer, one JSON text. `error`: the file was not made; `code` is the errno. `fd`: its descriptor of the log. */
export interface LogAnswer {
  excess: string[]
  isCrowded: boolean
  /** How long the reading of names took. */
  lookMs: number
  error: string | null
  code: string
  fd: number | null
}

const STDIN = 0
const STDOUT = 1

const answer: LogAnswer = { excess: [], isCrowded: false, lookMs: 0, error: null, code: '', fd: null }
try {
  const request = JSON.parse(process.argv[2] ?? '') as LogRequest
  if (request.leastBytes !== null) move(request, request.leastBytes)
  else if (request.looks) answer.excess = excessBackups(request.path, request.kept, look)
  if (request.opens) answer.fd = openLogFile(request.path, request.owner)
} catch (error) {
  answer.error = reasonOf(error)
  answer.code = codeOf(error instanceof Failure ? error.cause : error)
}
writeSync(STDOUT, JSON.stringify(answer))
closeSync(STDOUT)
if (answer.fd !== null) awaitEnd()

/** The end of the process that holds the other side of standard input; nothing is ever written to it. */
function awaitEnd(): void {
  readSync(STDIN, Buffer.alloc(1))
}

function look(folder: string): FolderNames {
  const sinceMs = performance.now()
  const names = namesIn(folder)
  answer.lookMs = performance.now() - sinceMs
  return names
}

function move({ path, kept, looks }: LogRequest, leastBytes: number): void {
  const moved = moveLog(path, new Date(), { leastBytes, kept, namesIn: looks ? look : () => null })
  answer.excess = moved?.excess ?? []
  answer.isCrowded = moved?.isCrowded === true
}
