/**
 * Tests of where the run folder is: the same for the same INI, another for another one, and short enough for its
 * sockets.
 */

import t from 'tap'
import { type RunFolderFacts, runFolderPath, whyTooLong } from '../../../../supervisor/config/values/run-folder-path.js'

const FACTS: RunFolderFacts = {
  configured: null,
  file: { given: 'shop.ini', absolute: '/etc/daimyo/shop.ini', section: '' },
  environment: {},
  uid: 1000,
  cwd: '/home/a',
}

const cases: [title: string, facts: Partial<RunFolderFacts>, expected: RegExp][] = [
  ['the option', { configured: '/run/x', environment: { RUNTIME_DIRECTORY: '/run/y' } }, /^\/run\/x$/],
  ['systemd', { environment: { RUNTIME_DIRECTORY: '/run/y' } }, /^\/run\/y$/],
  ['systemd, but root', { environment: { RUNTIME_DIRECTORY: '/run/y' }, uid: 0 }, /^\/run\/daimyo\/shop-[0-9a-f]{8}$/],
  ['the first of several of systemd', { environment: { RUNTIME_DIRECTORY: '/run/y:/run/z' } }, /^\/run\/y$/],
  ['a relative one is not systemd’s', { environment: { RUNTIME_DIRECTORY: 'y' } }, /^\/tmp\/daimyo-1000\/shop-/],
  ['root', { uid: 0, environment: { XDG_RUNTIME_DIR: '/run/user/0' } }, /^\/run\/daimyo\/shop-[0-9a-f]{8}$/],
  [
    'a user with a session',
    { environment: { XDG_RUNTIME_DIR: '/run/user/1000' } },
    /^\/run\/user\/1000\/daimyo\/shop-[0-9a-f]{8}$/,
  ],
  ['a user without', {}, /^\/tmp\/daimyo-1000\/shop-[0-9a-f]{8}$/],
  ['another folder for temporary files', { environment: { TMPDIR: '/var/tmp' } }, /^\/var\/tmp\/daimyo-1000\/shop-/],
  ['no INI', { file: null }, /^\/tmp\/daimyo-1000\/daimyo-[0-9a-f]{8}$/],
  [
    'a strange name',
    { file: { given: '', absolute: '/x/a b\n/.ini', section: '' } },
    /^\/tmp\/daimyo-1000\/\.ini-[0-9a-f]{8}$/,
  ],
  [
    'blanks in a name',
    { file: { given: '', absolute: '/x/a b.ini', section: '' } },
    /^\/tmp\/daimyo-1000\/a_b-[0-9a-f]{8}$/,
  ],
  [
    'a long name',
    { file: { given: '', absolute: `/${'x'.repeat(200)}.ini`, section: '' } },
    /^\/tmp\/daimyo-1000\/x{32}-[0-9a-f]{8}$/,
  ],
]
for (const [title, facts, expected] of cases) {
  t.test(title, async t => t.match(runFolderPath({ ...FACTS, ...facts }), expected))
}

t.test('differs by path and by section only', async t => {
  const path = (absolute: string, section = '', given = ''): string =>
    runFolderPath({ ...FACTS, file: { given, absolute, section } })
  t.equal(path('/a/shop.ini', '', 'x'), path('/a/shop.ini', '', 'y'))
  t.not(path('/a/shop.ini'), path('/b/shop.ini'))
  t.not(path('/a/shop.ini'), path('/a/shop.ini', 'prod'))
})

t.test('sockets must fit', async t => {
  t.equal(whyTooLong(`/${'x'.repeat(71)}`), null, '107 bytes')
  t.match(whyTooLong(`/${'x'.repeat(72)}`), /108 bytes .*: accepted at most 107 bytes/)
  t.match(whyTooLong(`/${'ä'.repeat(36)}`), /108 bytes/, 'bytes, not characters')
})
