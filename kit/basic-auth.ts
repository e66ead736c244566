/**
 * HTTP Basic authentication (RFC 7617) against one `user:hash`. Used by the metrics endpoint and by the proxy's metrics
 * route.
 *
 * A right answer costs a scrypt once, later ones a digest: what was verified is remembered under a key that only this
 * process has, never the password. Wrong ones run one at a time with a short line of waiters, so that guessing keeps
 * one thread busy and no more; who is known to be right never waits there.
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { EXIT, Failure } from './failure.js'
import { isPasswordHash, verifyPassword } from './password-hash.js'

/** Credentials that proved wrong and are remembered, and attempts that may wait. */
const WRONG = 64
const WAITING = 16
const HEADER_CHARS = 4096

export class BasicAuth {
  readonly #secret = randomBytes(32)
  readonly #user: Buffer
  readonly #hash: string
  readonly #wrong = new Set<string>()
  #right: Buffer | null = null
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  /** Fails if the text is not `user:hash` with a hash of `hashPassword`; the message does not repeat it. */
  constructor(userAndHash: string) {
    const at = userAndHash.indexOf(':')
    this.#hash = userAndHash.slice(at + 1)
    if (at < 1 || !isPasswordHash(this.#hash)) {
      const why = at < 1 ? 'no user before a colon' : 'not a hash that daimyo made'
      throw new Failure('bad-credentials', `cannot read the credentials: user:hash: ${why}`, EXIT.config)
    }
    this.#user = this.#digest(userAndHash.slice(0, at))
  }

  /** Whether an `Authorization` header carries the right user and password. Never rejects. */
  async check(authorizationHeader: string | undefined): Promise<boolean> {
    const credentials = readHeader(authorizationHeader)
    if (credentials === null) return false
    const digest = this.#digest(`${credentials.user}:${credentials.password}`)
    if (this.#right !== null && timingSafeEqual(digest, this.#right)) return true
    if (this.#wrong.has(digest.toString('base64')) || this.#waiting >= WAITING) return false
    this.#waiting += 1
    const verdict = this.#last.then(() => this.#verify(credentials, digest))
    this.#last = verdict
    const isRight = await verdict
    this.#waiting -= 1
    return isRight
  }

  /**
   * The password is checked for a wrong user too: the time taken must not tell which users exist. A scrypt that could
   * not be computed (no memory) is a refusal that is not remembered.
   */
  async #verify({ user, password }: Credentials, digest: Buffer): Promise<boolean> {
    if (this.#right !== null && timingSafeEqual(digest, this.#right)) return true
    const isPassword = await verifyPassword(password, this.#hash).catch(() => null)
    const isUser = timingSafeEqual(this.#digest(user), this.#user)
    const isRight = isUser && isPassword === true
    if (isRight) this.#right = digest
    else if (isPassword !== null) this.#remember(digest.toString('base64'))
    return isRight
  }

  #remember(wrong: string): void {
    const [oldest] = this.#wrong
    if (this.#wrong.size >= WRONG && oldest !== undefined) this.#wrong.delete(oldest)
    this.#wrong.add(wrong)
  }

  #digest(text: string): Buffer {
    return createHmac('sha256', this.#secret).update(text).digest()
  }
}

interface Credentials {
  user: string
  password: string
}

function readHeader(header: string | undefined): Credentials | null {
  if (header === undefined || header.length > HEADER_CHARS) return null
  const match = /^basic +([\w+/-]+=*) *$/i.exec(header)
  const text = Buffer.from(match?.[1] ?? '', 'base64').toString('utf8')
  const at = text.indexOf(':')
  return at < 0 ? null : { user: text.slice(0, at), password: text.slice(at + 1) }
}
