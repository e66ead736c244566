/** HTTP Basic: who gets in, what it costs, and what a flood of guesses does. */

import { scryptSync } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { BasicAuth, type Verdict } from '../../../kit/page/basic-auth.js'
import { hashPassword } from '../../../kit/page/password-hash.js'

const basic = (text: string, scheme = 'Basic') => `${scheme} ${Buffer.from(text).toString('base64')}`
const hash = await hashPassword('open:sesame')
/** The cheapest that is accepted: what a flood does is not a question of how long a check takes. */
const salt = Buffer.alloc(16, 7)
const cheapKey = scryptSync('open:sesame', salt, 32, { cost: 1024, blockSize: 8, parallelization: 1 })
const cheapHash = `scrypt$1024$8$1$${salt.toString('base64url')}$${cheapKey.toString('base64url')}`

const here = '192.0.2.1'

const headers: [string, string | undefined, Verdict][] = [
  ['none', undefined, 'wrong'],
  ['empty', '', 'wrong'],
  ['right', basic('ali:open:sesame'), 'right'],
  ['right, scheme in lower case', basic('ali:open:sesame', 'basic'), 'right'],
  ['right, without padding', basic('ali:open:sesame').replace(/=+$/, ''), 'right'],
  ['another user', basic('baba:open:sesame'), 'wrong'],
  ['a wrong password', basic('ali:open'), 'wrong'],
  ['the hash as password', basic(`ali:${hash}`), 'wrong'],
  ['no colon', basic('ali'), 'wrong'],
  ['no user', basic(':open:sesame'), 'wrong'],
  ['no password', basic('ali:'), 'wrong'],
  ['another scheme', basic('ali:open:sesame', 'Bearer'), 'wrong'],
  ['no base64', 'Basic ali:open:sesame', 'wrong'],
  ['two credentials', `${basic('ali:open:sesame')}, ${basic('x:y')}`, 'wrong'],
  ['endless', basic(`ali:${'x'.repeat(5000)}`), 'wrong'],
]

t.test('headers', async t => {
  const auth = new BasicAuth(`ali:${hash}`)
  for (const round of ['first', 'second']) {
    for (const [title, header, expected] of headers)
      t.equal(await auth.check(header, here), expected, `${title}, ${round} time`)
  }
})

for (const [title, text] of [
  ['no colon', hash],
  ['no user', `:${hash}`],
  ['a plain password', 'ali:secret'],
  ['nothing', ''],
] as const) {
  t.test(`refuses credentials without repeating them: ${title}`, async t => {
    try {
      new BasicAuth(text)
      t.fail('accepted')
    } catch (error) {
      t.match(error, { code: 'bad-credentials', exitCode: 78 })
      t.notMatch(String(error), /secret|scrypt/)
    }
  })
}

t.test('what was verified once costs no scrypt again', async t => {
  const auth = new BasicAuth(`ali:${hash}`)
  await auth.check(basic('ali:open:sesame'), here)
  await auth.check(basic('ali:wrong'), here)
  const cpuBefore = process.cpuUsage()
  for (let at = 0; at < 200; at++) {
    t.equal(await auth.check(basic('ali:open:sesame'), here), 'right')
    t.equal(await auth.check(basic('ali:wrong'), here), 'wrong')
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  t.ok(user + system < 2_000_000, `${(user + system) / 1000} ms of CPU for 400 checks; a scrypt each would take 40 s`)
})

t.test('a flood of guesses delays nobody who is known, and is told that there is no room', async t => {
  const auth = new BasicAuth(`ali:${cheapHash}`)
  await auth.check(basic('ali:open:sesame'), here)
  let running = 100
  const guesses = Array.from({ length: 100 }, (_, at) =>
    auth.check(basic(`ali:guess-${at}`), here).finally(() => running--),
  )
  t.equal(await auth.check(basic('ali:open:sesame'), here), 'right')
  t.ok(running > 0, 'answered while guesses still wait')
  const verdicts = await Promise.all(guesses)
  t.equal(verdicts.filter(verdict => verdict === 'busy').length, 83, 'one is checked, sixteen wait')
  t.equal(verdicts.filter(verdict => verdict === 'wrong').length, 17)
})

/** Guesses without end, each a new one, of which some always wait. */
class Guesser {
  readonly #auth: BasicAuth
  readonly #address: string
  isOver = false
  guessed = 0
  readonly verdicts = new Map<Verdict, number>()
  readonly ended: Promise<unknown>

  constructor(auth: BasicAuth, address: string, atOnce: number) {
    this.#auth = auth
    this.#address = address
    this.ended = Promise.all(Array.from({ length: atOnce }, () => this.#guess()))
  }

  async #guess(): Promise<void> {
    while (!this.isOver) {
      this.guessed += 1
      const verdict = await this.#auth.check(basic(`ali:${this.#address}-${this.guessed}`), this.#address)
      this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1)
      // As over a network: others get a word in.
      await setImmediate()
    }
  }
}

const places: [title: string, address: string, most: number][] = [
  ['from another address at its first call', '192.0.2.9', 1],
  ['from the same address at its second call', here, 2],
  ['from another address of the same /64, which counts as the same', '2001:db8::9', 2],
]

for (const [title, address, most] of places) {
  t.test(`the right password gets in during a flood that began before it: ${title}`, async t => {
    const auth = new BasicAuth(`ali:${cheapHash}`)
    const guesser = new Guesser(auth, address.includes(':') ? '2001:db8::1' : here, 50)
    const verdicts: Verdict[] = []
    while (verdicts.at(-1) !== 'right' && verdicts.length < most) {
      const guessedBefore = guesser.guessed
      while (guesser.guessed < guessedBefore + 1000) await setImmediate()
      verdicts.push(await auth.check(basic('ali:open:sesame'), address))
    }
    guesser.isOver = true
    await guesser.ended
    t.equal(verdicts.at(-1), 'right')
    t.notOk(verdicts.includes('wrong'), 'and is never said to be wrong')
    t.notOk(guesser.verdicts.has('right'), 'no guess gets in')
  })
}

t.test('a flood from many addresses keeps nobody out who comes back', async t => {
  const auth = new BasicAuth(`ali:${cheapHash}`)
  const guessers = Array.from({ length: 40 }, (_, at) => new Guesser(auth, `198.51.100.${at}`, 2))
  const verdicts: Verdict[] = []
  while (verdicts.at(-1) !== 'right' && verdicts.length < 3)
    verdicts.push(await auth.check(basic('ali:open:sesame'), here))
  for (const guesser of guessers) guesser.isOver = true
  t.equal(verdicts.at(-1), 'right')
  t.notOk(verdicts.includes('wrong'))
  await Promise.all(guessers.map(({ ended }) => ended))
})

t.test('the same credentials, asked for often at once, cost one check', async t => {
  const auth = new BasicAuth(`ali:${cheapHash}`)
  const asked = Array.from({ length: 100 }, () => auth.check(basic('ali:open:sesame'), here))
  t.same(new Set(await Promise.all(asked)), new Set(['right']))
})

t.test('what was found wrong is known again among thousands of others', async t => {
  const auth = new BasicAuth(`ali:${cheapHash}`)
  t.equal(await auth.check(basic('ali:wrong'), here), 'wrong')
  const filled = Array.from({ length: 16 }, (_, at) => auth.check(basic(`ali:filling-${at}`), here))
  const others = Array.from({ length: 5000 }, (_, at) => auth.check(basic(`ali:${at}`), here))
  t.equal(await auth.check(basic('ali:wrong'), here), 'wrong', 'at once, though there is no room')
  t.notOk(new Set(await Promise.all([...filled, ...others])).has('right'))
})
