/**
 * The sample application's own settings: an INI file (`conf/farm.cfg`, or the one that FARM_CONFIG names), read once at start.
 * Called by `farm.js`. A file that is missing or wrong stops the start with a message that names it.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'ini'

const SECRET_NAME = /secret|passw|token|credential|private|(^|[_-])key$/i
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i

/** The settings of the file at `path`: sections of strings, and `limits` as whole numbers. */
export function readSettings(path) {
  const { farm = {}, limits = {}, ...others } = parse(readText(path))
  return { farm, limits: readLimits(path, limits), ...others }
}

/** The same settings without secrets: values with a secret name, and passwords in URLs, read `***`. */
export function maskSecrets(settings) {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, maskValue(name, value)]))
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`settings not read: ${path}: ${error.message}`, { cause: error })
  }
}

const LIMITS = {
  sleep_ms: 600_000,
  burn_ms: 600_000,
  events_ms: 60_000,
  stream_bytes: 1_099_511_627_776,
  message_bytes: 1_048_576,
}

function readLimits(path, section) {
  return Object.fromEntries(
    Object.entries(LIMITS).map(([name, otherwise]) => {
      const text = String(section[name] ?? otherwise)
      if (!/^\d{1,15}$/.test(text)) {
        throw new Error(`settings not read: ${path}: [limits] ${name}=${text}: a whole number is accepted`)
      }
      return [name, Number(text)]
    }),
  )
}

function maskValue(name, value) {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return maskSecrets(value)
  if (SECRET_NAME.test(name)) return '***'
  if (Array.isArray(value)) return value.map(item => maskValue(name, item))
  return typeof value === 'string' ? value.replace(USER_INFO, '$1***@') : value
}
