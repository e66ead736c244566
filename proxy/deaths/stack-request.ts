/**
 * Asks the watchdog of a worker where the worker's blocked loop is. `harakiri.ts` asks while it judges the worker; the
 * answer is part of the event of the worker's end. Bounded in size; `harakiri.ts` bounds the time, and cancels.
 */

import { connect } from 'node:net'
import { codeOf } from '../../kit/ground/failure.js'
import { noStack, readStackReport, type StackReport, watchdogPathOf } from '../../kit/link/stack-report.js'

/** A question under way; `report` null: no answer yet. */
export interface StackRequest {
  readonly report: StackReport | null
  cancel(): void
}

const MOST_BYTES = 64 * 1024

/** Asks the watchdog of the worker whose link is at `linkPath`. */
export function requestStack(linkPath: string): StackRequest {
  const socket = connect(watchdogPathOf(linkPath))
  let text = ''
  let report: StackReport | null = null
  socket.setEncoding('utf8')
  socket.on('data', (piece: string) => {
    text += piece
    if (text.length > MOST_BYTES) socket.destroy()
  })
  socket.on('end', () => {
    report = readStackReport(text)
  })
  socket.on('error', error => {
    report = noStack(`the watchdog cannot be asked: ${codeOf(error)}`)
  })
  socket.on('close', () => {
    report ??= noStack('no answer')
  })
  return {
    get report() {
      return report
    },
    cancel: () => void socket.destroy(),
  }
}
