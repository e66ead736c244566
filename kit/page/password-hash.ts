/**
 * Password hashes for `metrics-auth`: `scrypt$N$r$p$salt$key`, the numbers decimal, salt and key in base64url. The
 * format holds none of `:` `%` `;` `#` and no `$(`, so that it can stand in the INI and after `user:` as it is. The
 * parameters of a hash that is read are bounded, so that it cannot take all memory or hours.
 */

import type { ScryptOptions } from 'node:crypto'
import { EXIT, Failure } from '../ground/failure.js'

interface ParsedHash {
  /** scrypt's cost, block size and parallelization (RFC 7914 §2). */
  cost: number
  blockSize: number
  parallelization: number
  salt: Buffer
  key: Buffer
}

/** OWASP's minimum for scrypt in 16 MiB of memory. */
const MADE_WITH = { cost: 16_384, blockSize: 8, parallelization: 5 }
const SALT_BYTES = 16
const KEY_BYTES = 32
/** Bounds for accepted hashes: 64 MiB of memory, and about eight times the work of our own hashes. */
const MEMORY_BYTES = 64 * 1024 * 1024
const WORK = 16_384 * 8 * 40
const PASSWORD_CHARS = 1024

/**
 * A hash with a fresh salt; it takes a good tenth of a second, off the event loop. Fails for an empty or overlong
 * password.
 */
export async function hashPassword(password: string): Promise<string> {
  if (password === '' || password.length > PASSWORD_CHARS) {
    throw new Failure(
      'bad-password',
      `cannot hash the password: it must have 1 to ${PASSWORD_CHARS} characters`,
      EXIT.usage,
    )
  }
  const salt = crypto().randomBytes(SALT_BYTES)
  const key = await derive(password, { ...MADE_WITH, salt, key: Buffer.alloc(KEY_BYTES) })
  const { cost, blockSize, parallelization } = MADE_WITH
  return ['scrypt', cost, blockSize, parallelization, salt.toString('base64url'), key.toString('base64url')].join('$')
}

/** Whether the hash was made from this password. False for a text that is no acceptable hash, without any work. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const parsed = parseHash(hash)
  if (parsed === null || password.length > PASSWORD_CHARS) return false
  return crypto().timingSafeEqual(await derive(password, parsed), parsed.key)
}

/** Whether the text is a hash of our format within our bounds. */
export function isPasswordHash(text: string): boolean {
  return parseHash(text) !== null
}

function parseHash(text: string): ParsedHash | null {
  const match = /^scrypt\$([1-9]\d{0,7})\$([1-9]\d?)\$([1-9]\d?)\$([\w-]{11,86})\$([\w-]{22,86})$/.exec(text)
  if (match === null) return null
  const [cost, blockSize, parallelization] = match.slice(1, 4).map(Number) as [number, number, number]
  const [salt, key] = match.slice(4).map(readBase64url) as [Buffer | null, Buffer | null]
  const isPowerOfTwo = (cost & (cost - 1)) === 0
  if (!isPowerOfTwo || cost < 1024 || salt === null || key === null) return null
  if (memoryOf(cost, blockSize) > MEMORY_BYTES || cost * blockSize * parallelization > WORK) return null
  return { cost, blockSize, parallelization, salt, key }
}

/** null for text that an encoder would not write: unused bits at the end would give one hash two spellings. */
function readBase64url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : null
}

function memoryOf(cost: number, blockSize: number): number {
  return 128 * cost * blockSize
}

/** Loaded on use: most processes that import this file hash nothing, and loading it would delay their start. */
const crypto = () => process.getBuiltinModule('node:crypto')

/** Composed and decomposed accents of one password give one key (RFC 8265 §4.2). */
function derive(password: string, { cost, blockSize, parallelization, salt, key }: ParsedHash): Promise<Buffer> {
  const maxmem = memoryOf(cost, blockSize) + 128 * blockSize * (parallelization + 2) + 65_536
  const options: ScryptOptions = { cost, blockSize, parallelization, maxmem }
  return new Promise((resolve, reject) => {
    crypto().scrypt(password.normalize('NFC'), salt, key.length, options, (error, derived) => {
      if (error === null) resolve(derived)
      else reject(error)
    })
  })
}
