/**
 * What the log says of a worker that has to die because its loop is blocked: the guilty request, where the loop is, the
 * other requests in flight, and what becomes of them. The master kills the worker and writes the event. Pure.
 */

import type { BlockedLoop } from '../../kit/channel/messages.js'
import { printStack, type StackReport } from '../../kit/link/stack-report.js'
import type { Exchange } from '../exchange/exchange.js'
import type { Link } from '../link/link.js'
import type { Verdict } from './rescue.js'
import { verdictFor } from './rescuer.js'

/** What a verdict means to the client. */
const FATES: Record<Verdict, string> = { again: 'sent again', 'give-up': '502', break: 'cut off', ask: 'sent again' }

const MOST_TITLES = 10
const LONGEST_TITLE = 100
/** A target may have 64 KB. */
const LONGEST_REQUEST = 4000

/** The report on a condemned link. It knows only the requests that this proxy has in flight there. */
export function reportBlocked(
  link: Pick<Link, 'inFlight' | 'exchanges' | 'tunnels'>,
  guilty: string,
  elapsedMs: number,
  stack: StackReport,
): BlockedLoop {
  const { inFlight, exchanges, tunnels } = link
  const others = [...describe(exchanges), ...(tunnels > 0 ? [`${tunnels} tunnels: closed`] : [])].join('; ')
  const request = guilty.slice(0, LONGEST_REQUEST)
  return { request, elapsedMs: Math.round(elapsedMs), ...printStack(stack), inFlight, others }
}

/** By fate: `sent again: GET /a, GET /b`. Harakiri is the master's own kill, so the reason of the end is known. */
function describe(exchanges: readonly Exchange[]): string[] {
  const titles = new Map<string, string[]>()
  for (const exchange of exchanges.slice(0, MOST_TITLES)) {
    const fate = FATES[verdictFor(exchange, 'asked')]
    titles.set(fate, [...(titles.get(fate) ?? []), exchange.title.slice(0, LONGEST_TITLE)])
  }
  const more = exchanges.length - MOST_TITLES
  return [
    ...[...titles].map(([fate, those]) => `${fate}: ${those.join(', ')}`),
    ...(more > 0 ? [`and ${more} more`] : []),
  ]
}
