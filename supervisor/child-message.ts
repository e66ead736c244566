/**
 * Reads what arrives on a child's IPC channel. The application shares its worker's channel (`process.send('ready')` is common
 * under other process managers), so anything may arrive: what is not one of ours in shape is nothing. Used by `worker.ts` and
 * `proxy-process.ts`. Pure.
 */

import type { ProxyToMaster, WorkerToMaster } from '../kit/messages.js'

type Fields = Record<string, unknown>
type Check = (fields: Fields) => boolean

const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value)
const isText = (value: unknown): boolean => typeof value === 'string'
const isList = (value: unknown): boolean => Array.isArray(value)
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Names and values that a log line may hold. */
const isEvent: Check = ({ event, fields }) =>
  typeof event === 'string' &&
  /^[a-z][a-z0-9-]{0,63}$/.test(event) &&
  isRecord(fields) &&
  Object.entries(fields).every(
    ([name, value]) =>
      /^\w{1,64}$/.test(name) && (value === null || ['string', 'number', 'boolean'].includes(typeof value)),
  )

const WORKER_MESSAGES: { [T in WorkerToMaster['type']]: Check } = {
  waiting: ({ bootMs }) => isNumber(bootMs),
  'load-wanted': () => true,
  ready: ({ bootMs }) => isNumber(bootMs),
  failed: ({ reason, stack }) => isText(reason) && isText(stack),
  metrics: ({ families }) => isList(families),
  recycle: ({ reason }) => reason === 'max-requests',
  utilization: ({ share }) => typeof share === 'number' && share >= 0 && share <= 1,
  event: isEvent,
}

const LOAD_FIELDS = ['workerId', 'requests', 'inFlight', 'lagMs', 'answered', 'failed', 'waitedMs']
const isLoad = (value: unknown): boolean => isRecord(value) && LOAD_FIELDS.every(name => isNumber(value[name]))

const isInFlight = (value: unknown): boolean =>
  isRecord(value) && isText(value.method) && isText(value.path) && isNumber(value.ageMs) && isNumber(value.slot)

/** Of a link that was broken. */
const LONGEST_WHY = 500

const PROXY_MESSAGES: { [T in ProxyToMaster['type']]: Check } = {
  listening: () => true,
  failed: ({ reason }) => isText(reason),
  'worker-linked': ({ workerId }) => isNumber(workerId),
  'worker-drained': ({ workerId }) => isNumber(workerId),
  'worker-draining': ({ workerId, requests, tunnels }) =>
    isNumber(workerId) && typeof requests === 'boolean' && typeof tunnels === 'boolean',
  'worker-blocked': ({ request, others, at, stack, ...numbers }) =>
    [request, others, at, stack].every(isText) &&
    ['workerId', 'elapsedMs', 'inFlight'].every(name => isNumber(numbers[name])),
  'link-broken': ({ workerId, why }) => isNumber(workerId) && isText(why) && (why as string).length <= LONGEST_WHY,
  metrics: ({ families, workers, queued }) =>
    isList(families) && Array.isArray(workers) && workers.every(isLoad) && isNumber(queued),
  'worker-wanted': () => true,
  'in-flight': ({ requestId, requests }) =>
    isNumber(requestId) && Array.isArray(requests) && requests.every(isInFlight),
  'metrics-wanted': ({ requestId }) => isNumber(requestId),
  synced: ({ number }) => isNumber(number),
  event: isEvent,
}

/** The message of a worker, null when it is something else. */
export function readWorkerMessage(value: unknown): WorkerToMaster | null {
  return isOneOf(value, WORKER_MESSAGES) ? (value as unknown as WorkerToMaster) : null
}

/** The message of a proxy, null when it is something else. */
export function readProxyMessage(value: unknown): ProxyToMaster | null {
  return isOneOf(value, PROXY_MESSAGES) ? (value as unknown as ProxyToMaster) : null
}

function isOneOf(value: unknown, checks: Record<string, Check>): value is Fields {
  if (!isRecord(value) || typeof value.type !== 'string' || !Object.hasOwn(checks, value.type)) return false
  return checks[value.type]!(value)
}
