/**
 * Validates the messages of children. Every value of a message is checked before the master acts on any, and unknown
 * members are refused. A worker runs other people's code, so anything may arrive on its channel. A value that is not
 * exactly one of our messages ends the channel. A build whose children send more raises `CHANNEL_VERSION`. Pure.
 */

import { isToldEvent, PROXY_EVENTS, WORKER_EVENTS } from '../../kit/channel/child-events.js'
import { LONGEST_REASON, LONGEST_STACK, type ProxyToMaster, type WorkerToMaster } from '../../kit/channel/messages.js'

type Fields = Record<string, unknown>
type Check = (fields: Fields) => boolean

/** More than any count or time in milliseconds that a child reports. */
const MOST = Number.MAX_SAFE_INTEGER
const LONGEST_TEXT = 4000
/** A proxy reports its twenty oldest requests, and every worker of the master. */
const MOST_REQUESTS = 20
const MOST_WORKERS = 10_000
/** The host sends at most 1000 in one message (`app/host/application/master-channel.ts`). */
const MOST_FAMILIES = 4000

/** Counts, times and sums of times. */
const isAmount = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value <= MOST
const isId = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown, most = LONGEST_TEXT): boolean => typeof value === 'string' && value.length <= most
const isList = (value: unknown): boolean => Array.isArray(value)
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isFamily = (value: unknown): boolean => isRecord(value) && typeof value.name === 'string'

/**
 * Checks that a family has a name. `metrics-store.ts` checks the rest, so a malformed family is lost without the
 * channel. A value without a name ends the channel: to log each of 4000 such values would cost the master milliseconds,
 * and they fit into 8 KB.
 */
const WORKER_MESSAGES: { [T in WorkerToMaster['type']]: Check } = {
  waiting: ({ bootMs }) => isAmount(bootMs),
  'load-wanted': () => true,
  ready: ({ bootMs, ignoresPort = false }) => isAmount(bootMs) && typeof ignoresPort === 'boolean',
  failed: ({ reason, stack }) => isText(reason, LONGEST_REASON) && isText(stack, LONGEST_STACK),
  metrics: ({ families }) => Array.isArray(families) && families.length <= MOST_FAMILIES && families.every(isFamily),
  recycle: ({ reason }) => reason === 'max-requests' || reason === 'disconnected',
  utilization: ({ share }) => typeof share === 'number' && share >= 0 && share <= 1,
  event: ({ event, fields }) => isToldEvent(WORKER_EVENTS, event, fields),
}

const LOAD_FIELDS = ['requests', 'inFlight', 'lagMs', 'answered', 'failed', 'waitedMs']
const isLoad = (value: unknown): boolean =>
  isRecord(value) && isId(value.workerId) && LOAD_FIELDS.every(name => isAmount(value[name]))

const isInFlight = (value: unknown): boolean =>
  isRecord(value) && isText(value.method) && isText(value.path) && isAmount(value.ageMs) && isId(value.slot)

/** The reason for which a link was broken. */
const LONGEST_WHY = 500

const PROXY_MESSAGES: { [T in ProxyToMaster['type']]: Check } = {
  listening: () => true,
  failed: ({ reason }) => isText(reason, LONGEST_REASON),
  'worker-linked': ({ workerId }) => isId(workerId),
  'worker-drained': ({ workerId }) => isId(workerId),
  'worker-draining': ({ workerId, requests, tunnels }) =>
    isId(workerId) && typeof requests === 'boolean' && typeof tunnels === 'boolean',
  'worker-blocked': ({ workerId, elapsedMs, inFlight, request, others, at, stack }) =>
    isId(workerId) &&
    isAmount(elapsedMs) &&
    isId(inFlight) &&
    [request, others, at].every(text => isText(text)) &&
    isText(stack, LONGEST_STACK),
  'link-broken': ({ workerId, why }) => isId(workerId) && isText(why, LONGEST_WHY),
  metrics: ({ families, workers, queued }) =>
    isList(families) &&
    Array.isArray(workers) &&
    workers.length <= MOST_WORKERS &&
    workers.every(isLoad) &&
    isId(queued),
  'worker-wanted': () => true,
  'in-flight': ({ requestId, requests }) =>
    isId(requestId) && Array.isArray(requests) && requests.length <= MOST_REQUESTS && requests.every(isInFlight),
  'metrics-wanted': ({ requestId }) => isId(requestId),
  synced: ({ number }) => isId(number),
  event: ({ event, fields }) => isToldEvent(PROXY_EVENTS, event, fields),
}

/** The members of each message besides its type. A missing member does not compile. */
type Members<M extends { type: string }> = {
  [T in M['type']]: { [Name in Exclude<keyof Extract<M, { type: T }>, 'type'>]-?: true }
}

const WORKER_MEMBERS: Members<WorkerToMaster> = {
  waiting: { bootMs: true },
  'load-wanted': {},
  ready: { bootMs: true, ignoresPort: true },
  failed: { reason: true, stack: true },
  metrics: { families: true },
  recycle: { reason: true },
  utilization: { share: true },
  event: { event: true, fields: true },
}

const PROXY_MEMBERS: Members<ProxyToMaster> = {
  listening: {},
  failed: { reason: true },
  'worker-linked': { workerId: true },
  'worker-drained': { workerId: true },
  'worker-draining': { workerId: true, requests: true, tunnels: true },
  'worker-blocked': {
    workerId: true,
    elapsedMs: true,
    inFlight: true,
    request: true,
    others: true,
    at: true,
    stack: true,
  },
  'link-broken': { workerId: true, why: true },
  metrics: { families: true, workers: true, queued: true },
  'worker-wanted': {},
  'in-flight': { requestId: true, requests: true },
  'metrics-wanted': { requestId: true },
  synced: { number: true },
  event: { event: true, fields: true },
}

/** The message of a worker. Null: it is none. */
export function readWorkerMessage(value: unknown): WorkerToMaster | null {
  return isOneOf(value, WORKER_MESSAGES, WORKER_MEMBERS) ? (value as unknown as WorkerToMaster) : null
}

/** The message of a proxy. Null: it is none. */
export function readProxyMessage(value: unknown): ProxyToMaster | null {
  return isOneOf(value, PROXY_MESSAGES, PROXY_MEMBERS) ? (value as unknown as ProxyToMaster) : null
}

function isOneOf(
  value: unknown,
  checks: Record<string, Check>,
  members: Record<string, Record<string, true>>,
): value is Fields {
  if (!isRecord(value) || typeof value.type !== 'string' || !Object.hasOwn(checks, value.type)) return false
  const own = members[value.type]!
  for (const name in value) if (name !== 'type' && !Object.hasOwn(own, name)) return false
  return checks[value.type]!(value)
}
