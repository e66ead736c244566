/**
 * The process that moves a log away and makes the new one (`log-child.ts`). It is the user who decides about the folder: root only where root alone does.
 * Must stay true: it does what its one argument says to the log that this names, and to nothing else.
 */

import { closeSync } from 'node:fs'
import { codeOf, Failure, reasonOf } from '../kit/failure.js'
import { openLogFile } from '../kit/log-file.js'
import { namesIn } from './folder-names.js'
import { moveLog } from './log-backup.js'
import type { LogAnswer, LogRequest } from './log-child.js'

const answer: LogAnswer = { excess: [], isCrowded: false, lookMs: 0, error: null, code: '' }
try {
  const request = JSON.parse(process.argv[2] ?? '') as LogRequest
  if (request.leastBytes !== null) move(request, request.leastBytes)
  closeSync(openLogFile(request.path, request.owner))
} catch (error) {
  answer.error = reasonOf(error)
  answer.code = codeOf(error instanceof Failure ? error.cause : error)
}
process.stdout.write(JSON.stringify(answer))

function move({ path, kept, looks }: LogRequest, leastBytes: number): void {
  const look = (folder: string) => {
    const sinceMs = performance.now()
    const names = namesIn(folder)
    answer.lookMs = performance.now() - sinceMs
    return names
  }
  const moved = moveLog(path, new Date(), { leastBytes, kept, namesIn: looks ? look : () => null })
  answer.excess = moved?.excess ?? []
  answer.isCrowded = moved?.isCrowded === true
}
