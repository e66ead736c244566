/**
 * HTTP Basic authentication (RFC 7617) against one `user:hash`, for the metrics endpoint and the proxy's metrics route.
 *
 * The first check of the right password costs a scrypt, later ones cost a digest. Verified credentials are remembered
 * as a digest with a key that only this process has; the password is never kept. Verified clients never wait. The
 * others are checked one at a time, off the loop: guessing keeps one of the four threads of the pool busy and no more.
 *
 * What must stay true: `wrong` means that the credentials were found wrong, never a lack of room; a client that cannot
 * be checked now gets `busy`, for a 503 with Retry-After.
 *
 * The order of checks decides whether the right password gets in while others guess, a thousand times a second, a new
 * password each time, also when nothing is verified yet after a start. Decision:
 *
 * 1. Credentials that were asked for before and are not judged yet go before new ones: a scraper comes back with the
 *    same ones, a guesser with others. Each call counts, even one that got `busy`, so a scraper is known from its
 *    second scrape on.
 * 2. Then the client addresses take turns, an IPv6 /64 as one: guesses from one address do not delay the others.
 * 3. Then credentials go first that were first asked for longest ago: a later guess, however often repeated, does not
 *    get before a scraper on the same address.
 * 4. All calls with the same credentials share one check, and credentials that were found wrong cost no second one.
 *
 * A guesser on the scraper's own address is not kept out if it goes on repeating thousands of guesses that it began
 * before the scraper's first call; it delays the scraper, which gets 503 meanwhile.
 *
 * Memory: 65,536 digests of 12 characters, about 5 MB, which only a flood fills: a minute of a thousand guesses a
 * second, as long as scrapers usually wait between two scrapes. Credentials that are asked for again count as new
 * there.
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { clientKey } from '../ground/client-key.js'
import { EXIT, Failure } from '../ground/failure.js'
import { FairLine, type Waiter } from '../ground/fair-line.js'
import { isPasswordHash, verifyPassword } from './password-hash.js'

/** `busy`: these credentials are unknown, and there is no room to check them. */
export type Verdict = 'right' | 'wrong' | 'busy'

/** Credentials that wait for their check, in all and from one client. */
const WAITING = 24
const WAITING_OF_CLIENT = 16
/** How long they wait: scrapers give up after ten seconds. */
const WAITING_MS = 5000
/** Digests that are remembered. */
const KNOWN = 65_536
const HEADER_CHARS = 4096
const SEEN_LANE = 0
const NEW_LANE = 1
/** In place of the number of a call. */
const FOUND_WRONG = -1

interface Credentials {
  user: string
  password: string
}

type Place = Pick<Waiter, 'client' | 'lane' | 'since'>

/** Credentials that wait. */
interface Check extends Waiter {
  credentials: Credentials
  digest: Buffer
  key: string
  verdict: Promise<Verdict>
  settle: (verdict: Verdict) => void
  timer: NodeJS.Timeout
}

export class BasicAuth {
  readonly #secret = randomBytes(32)
  readonly #user: Buffer
  readonly #hash: string
  readonly #line = new FairLine<Check>(WAITING, WAITING_OF_CLIENT)
  /** By digest: waiting credentials, and the ones under check. */
  readonly #checks = new Map<string, Check>()
  /** By digest: the number of the call that asked first, or `FOUND_WRONG`; the latest ones come last. */
  readonly #known = new Map<string, number>()
  #right: Buffer | null = null
  #calls = 0
  #isChecking = false

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

  /**
   * Whether an `Authorization` header carries the right user and password; `address` is the client's. Never rejects,
   * and takes a few seconds at most.
   */
  async check(authorizationHeader: string | undefined, address: string): Promise<Verdict> {
    const credentials = readHeader(authorizationHeader)
    if (credentials === null) return 'wrong'
    const digest = this.#digest(`${credentials.user}:${credentials.password}`)
    if (this.#isRight(digest)) return 'right'
    const key = digest.latin1Slice(0, 12)
    const known = this.#known.get(key)
    this.#calls += 1
    this.#remember(key, known ?? this.#calls)
    if (known === FOUND_WRONG) return 'wrong'
    const same = this.#checks.get(key)
    if (same !== undefined) return same.verdict
    const place = { client: clientKey(address), lane: known === undefined ? NEW_LANE : SEEN_LANE }
    return this.#wait(credentials, digest, key, { ...place, since: known ?? this.#calls })
  }

  #isRight(digest: Buffer): boolean {
    return this.#right !== null && timingSafeEqual(digest, this.#right)
  }

  #remember(key: string, what: number): void {
    this.#known.delete(key)
    this.#known.set(key, what)
    if (this.#known.size <= KNOWN) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  #wait(credentials: Credentials, digest: Buffer, key: string, place: Place): Promise<Verdict> {
    let settle: Check['settle'] = () => {}
    const verdict = new Promise<Verdict>(resolve => {
      settle = resolve
    })
    const giveUp = () => {
      this.#line.leave(check)
      this.#settle(check, 'busy')
    }
    const timer = setTimeout(giveUp, WAITING_MS).unref()
    const check: Check = { ...place, credentials, digest, key, verdict, settle, timer, displaced: giveUp }
    this.#checks.set(key, check)
    if (this.#line.join(check)) this.#checkNext()
    else this.#settle(check, 'busy')
    return verdict
  }

  #settle(check: Check, verdict: Verdict): void {
    clearTimeout(check.timer)
    this.#checks.delete(check.key)
    check.settle(verdict)
  }

  #checkNext(): void {
    if (this.#isChecking) return
    const check = this.#line.next()
    if (check === undefined) return
    this.#isChecking = true
    // It has its turn: from now on it is not given up, however long the check takes.
    clearTimeout(check.timer)
    void this.#verify(check).then(verdict => {
      this.#isChecking = false
      this.#settle(check, verdict)
      this.#checkNext()
    })
  }

  /**
   * The password is checked for a wrong user too, so that the time does not tell which users exist. If scrypt fails (no
   * memory), the credentials stay unknown.
   */
  async #verify({ credentials: { user, password }, digest, key }: Check): Promise<Verdict> {
    const isPassword = await verifyPassword(password, this.#hash).catch(() => null)
    const isUser = timingSafeEqual(this.#digest(user), this.#user)
    if (isPassword === null) return 'busy'
    if (isUser && isPassword) {
      this.#right = digest
      return 'right'
    }
    this.#remember(key, FOUND_WRONG)
    return 'wrong'
  }

  #digest(text: string): Buffer {
    return createHmac('sha256', this.#secret).update(text).digest()
  }
}

function readHeader(header: string | undefined): Credentials | null {
  if (header === undefined || header.length > HEADER_CHARS) return null
  const match = /^basic +([\w+/-]+=*) *$/i.exec(header)
  const text = Buffer.from(match?.[1] ?? '', 'base64').toString('utf8')
  const at = text.indexOf(':')
  return at < 0 ? null : { user: text.slice(0, at), password: text.slice(at + 1) }
}
