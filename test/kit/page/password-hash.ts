/** Password hashes: ours verify, hostile ones are refused before any work. */

import t from 'tap'
import { hashPassword, isPasswordHash, verifyPassword } from '../../../kit/page/password-hash.js'

/** Of `secret`, cheap to verify: cost 1024, block size 8, parallelization 1. */
const SALT = 'AAAAAAAAAAAAAAAAAAAAAA'
const KEY = 'A'.repeat(43)

t.test('a hash verifies its password and no other', async t => {
  const hash = await hashPassword('s3cr\u00e9t:;#%')
  t.match(hash, /^scrypt\$16384\$8\$5\$[\w-]{22}\$[\w-]{43}$/)
  t.notMatch(hash, /[:%;#\s]|\$\(/, 'it may stand in the INI')
  t.ok(isPasswordHash(hash))
  t.not(hash, await hashPassword('s3cr\u00e9t:;#%'), 'each has a salt of its own')
  const cases: [string, string, boolean][] = [
    ['the password', 's3cr\u00e9t:;#%', true],
    ['the same, decomposed', 's3cre\u0301t:;#%', true],
    ['a prefix', 's3cr\u00e9t', false],
    ['nothing', '', false],
    ['an endless one', 'x'.repeat(1025), false],
  ]
  for (const [title, password, expected] of cases) t.equal(await verifyPassword(password, hash), expected, title)
})

t.test('a key of scrypt itself verifies (RFC 7914 §12: pleaseletmein, SodiumChloride)', async t => {
  const key =
    '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887'
  const text = `scrypt$16384$8$1$${Buffer.from('SodiumChloride').toString('base64url')}$${Buffer.from(key, 'hex').toString('base64url')}`
  t.equal(await verifyPassword('pleaseletmein', text), true)
  t.equal(await verifyPassword('pleaseletmeIn', text), false)
})

for (const [title, password] of [
  ['empty', ''],
  ['endless', 'x'.repeat(1025)],
] as const) {
  t.test(`refuses to hash a password: ${title}`, t =>
    t.rejects(hashPassword(password), { code: 'bad-password', exitCode: 64 }),
  )
}

const texts: [string, string, boolean][] = [
  ['small parameters', `scrypt$1024$1$1$${SALT}$${KEY}`, true],
  ['64 MiB', `scrypt$65536$8$1$${SALT}$${KEY}`, true],
  ['128 MiB', `scrypt$131072$8$1$${SALT}$${KEY}`, false],
  ['a huge cost', `scrypt$4294967296$8$1$${SALT}$${KEY}`, false],
  ['a cost of 2^26, block size 1', `scrypt$67108864$1$1$${SALT}$${KEY}`, false],
  ['hours of parallelization', `scrypt$65536$8$99$${SALT}$${KEY}`, false],
  ['a three-digit block size', `scrypt$1024$100$1$${SALT}$${KEY}`, false],
  ['a cost that is no power of two', `scrypt$1025$8$1$${SALT}$${KEY}`, false],
  ['hardly any cost', `scrypt$512$8$1$${SALT}$${KEY}`, false],
  ['zero', `scrypt$0$8$1$${SALT}$${KEY}`, false],
  ['negative', `scrypt$-1024$8$1$${SALT}$${KEY}`, false],
  ['a leading zero', `scrypt$01024$8$1$${SALT}$${KEY}`, false],
  ['hexadecimal', `scrypt$0x400$8$1$${SALT}$${KEY}`, false],
  ['a fraction', `scrypt$1024.0$8$1$${SALT}$${KEY}`, false],
  ['no salt', `scrypt$1024$8$1$$${KEY}`, false],
  ['no key', `scrypt$1024$8$1$${SALT}$`, false],
  ['a key of 15 bytes', `scrypt$1024$8$1$${SALT}$${'A'.repeat(20)}`, false],
  ['a key of 1 MB', `scrypt$1024$8$1$${SALT}$${'A'.repeat(1_000_000)}`, false],
  ['stray bits', `scrypt$1024$8$1$${SALT}$${'A'.repeat(42)}B`, false],
  ['padding', `scrypt$1024$8$1$${SALT}==$${KEY}`, false],
  ['base64 instead of base64url', `scrypt$1024$8$1$${SALT}$${'A'.repeat(42)}+`, false],
  ['a newline at the end', `scrypt$1024$8$1$${SALT}$${KEY}\n`, false],
  ['another scheme', `bcrypt$1024$8$1$${SALT}$${KEY}`, false],
  ['a plain password', 'secret', false],
  ['nothing', '', false],
]

for (const [title, text, expected] of texts)
  t.test(`is a hash or not: ${title}`, async t => t.equal(isPasswordHash(text), expected))

t.test('refused hashes cost nothing to verify', async t => {
  const cpuBefore = process.cpuUsage()
  for (const [, text, isHash] of texts) if (!isHash) t.equal(await verifyPassword('secret', text), false)
  const { user, system } = process.cpuUsage(cpuBefore)
  t.ok(user + system < 1_000_000, `${(user + system) / 1000} ms of CPU`)
})
