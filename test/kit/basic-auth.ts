/** HTTP Basic: who gets in, what it costs, and what a flood of guesses does. */

import t from 'tap'
import { BasicAuth } from '../../kit/basic-auth.js'
import { hashPassword } from '../../kit/password-hash.js'

const basic = (text: string, scheme = 'Basic') => `${scheme} ${Buffer.from(text).toString('base64')}`
const hash = await hashPassword('open:sesame')

const headers: [string, string | undefined, boolean][] = [
  ['none', undefined, false],
  ['empty', '', false],
  ['right', basic('ali:open:sesame'), true],
  ['right, scheme in lower case', basic('ali:open:sesame', 'basic'), true],
  ['right, without padding', basic('ali:open:sesame').replace(/=+$/, ''), true],
  ['another user', basic('baba:open:sesame'), false],
  ['a wrong password', basic('ali:open'), false],
  ['the hash as password', basic(`ali:${hash}`), false],
  ['no colon', basic('ali'), false],
  ['no user', basic(':open:sesame'), false],
  ['no password', basic('ali:'), false],
  ['another scheme', basic('ali:open:sesame', 'Bearer'), false],
  ['no base64', 'Basic ali:open:sesame', false],
  ['two credentials', `${basic('ali:open:sesame')}, ${basic('x:y')}`, false],
  ['endless', basic(`ali:${'x'.repeat(5000)}`), false],
]

t.test('headers', async t => {
  const auth = new BasicAuth(`ali:${hash}`)
  for (const round of ['first', 'second']) {
    for (const [title, header, expected] of headers)
      t.equal(await auth.check(header), expected, `${title}, ${round} time`)
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
  await auth.check(basic('ali:open:sesame'))
  await auth.check(basic('ali:wrong'))
  const cpuBefore = process.cpuUsage()
  for (let at = 0; at < 200; at++) {
    t.equal(await auth.check(basic('ali:open:sesame')), true)
    t.equal(await auth.check(basic('ali:wrong')), false)
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  t.ok(user + system < 2_000_000, `${(user + system) / 1000} ms of CPU for 400 checks; a scrypt each would take 40 s`)
})

t.test('a flood of guesses is refused at once, and delays nobody who is known', async t => {
  const auth = new BasicAuth(`ali:${hash}`)
  await auth.check(basic('ali:open:sesame'))
  let running = 100
  const guesses = Array.from({ length: 100 }, (_, at) => auth.check(basic(`ali:guess-${at}`)).finally(() => running--))
  t.equal(await auth.check(basic('ali:open:sesame')), true)
  t.ok(running > 0, 'answered while guesses still wait')
  t.same(new Set(await Promise.all(guesses)), new Set([false]))
})
