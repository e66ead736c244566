/** Tests of what counts as a secret, and of passwords in URLs. */

import t from 'tap'
import { hideUrlPasswords, looksSecret } from '../../../../kit/options/words/secret-names.js'

const names: [name: string, isSecret: boolean][] = [
  ['DB_PASSWORD', true],
  ['PGPASSWORD', true],
  ['db-passwd', true],
  ['API_KEY', true],
  ['APIKEY', true],
  ['STRIPE_SECRET', true],
  ['SESSION_TOKEN', true],
  ['AWS_CREDENTIALS', true],
  ['SENTRY_DSN', true],
  ['key-file', true],
  ['NODE_ENV', false],
  ['PORT', false],
  ['FARM_CONFIG', false],
  ['base', false],
]
for (const [name, isSecret] of names) t.equal(looksSecret(name), isSecret, name)

const urls: [text: string, expected: string][] = [
  ['postgres://farmer:rice@db:5432/granary', 'postgres://farmer:***@db:5432/granary'],
  ['redis://:p@ss@cache/0', 'redis://:***@cache/0'],
  ['a://b:c@d e://f:g@h', 'a://b:***@d e://f:***@h'],
  ['a://b:c@d/e@f', 'a://b:***@f'],
  ['http://127.0.0.1:8080/x', 'http://127.0.0.1:8080/x'],
  ['plain', 'plain'],
]
for (const [text, expected] of urls) t.equal(hideUrlPasswords(text), expected, text)
