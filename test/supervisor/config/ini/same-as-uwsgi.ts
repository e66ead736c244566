/**
 * The real uWSGI beside our reader: both read the same INI, and both must see the same keys and values in the same
 * order. Only the grammar that we promise to share; where we differ on purpose, `config-reference.ts` says so. `else` is
 * uWSGI's since 2.1 only.
 */

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { realFiles } from '../../../../supervisor/config/ini/config-files.js'
import { readIni } from '../../../../supervisor/config/ini/ini-reader.js'
import { expand } from '../../../../supervisor/config/ini/placeholders.js'

const isMissing = spawnSync('uwsgi', ['--version']).status !== 0
const ENVIRONMENT = { HOME: '/home/site', MODE: 'prod', PATH: process.env.PATH ?? '' }

const cases: [title: string, lines: string[]][] = [
  [
    'blanks, comments, bare keys',
    ['  a\t=  b ; c # d  ', '; x', '# y', 'bare', 'empty =', 'e=f=g', 'key with blanks = 1'],
  ],
  ['sections', ['a=1', '[other]', 'b=2', '[uwsgi]', 'c=3']],
  ['magic', ['m = %o %O %p %P %d %D %s %S %n %N %e %E %c %C %x| %0 %1 %v %%', '%n = 1']],
  ['placeholders', ['n = shop', 'a = x%(n)-%(n)', 'd = 1', 'd = 2', 'f = x%(d)']],
  [
    'arithmetic',
    [
      'two = 2',
      'three = 3',
      'a = x%(two three + 2)',
      'b = x%(two * three)',
      'c = x%(three / two)',
      'd = x%(two - three)',
      'e = x%(two ++)',
    ],
  ],
  ['environment and files', ['h = x$(HOME)/y', 'f = [@(words)]']],
  ['set-placeholder', ['set-placeholder = a=1', 'set-ph=b=2', 'set = c=3=4', 'x = x%(a)%(b)%(c)']],
  ['includes', ['a = 1', 'ini = :more', 'ini = sub/inc.ini', 'ini = sub/inc.ini:blue', 'z = %n', '[more]', 'm = %n']],
  [
    'if-env',
    [
      'if-env = HOME',
      'h = %(_)',
      'endif =',
      'if-env = MODE=dev',
      'd = 1',
      'end-if',
      'if-not-env = NOSUCH',
      'n = 1',
      'end',
    ],
  ],
  [
    'if-file, if-dir, if-exists',
    [
      'if-file = words',
      'a = %(_)',
      'endif',
      'if-dir = words',
      'b = 1',
      'endif',
      'if-dir = sub',
      'c = 1',
      'endif',
      'if-not-exists = nosuch',
      'd = 1',
      'endif',
    ],
  ],
  [
    'if-opt',
    ['p = 4', 'if-opt = p', 'a = %(_)', 'endif', 'if-opt = p=5', 'b = 1', 'endif', 'if-not-opt = q', 'c = 1', 'endif'],
  ],
  [
    'loops',
    [
      'for = a b',
      'x = %(_)',
      'y = %(_)!',
      'endfor',
      'for-times = 2',
      'n = %(_)',
      'endfor',
      'for-readline = words',
      'l = %(_)',
      'endfor',
    ],
  ],
]

for (const [title, lines] of cases) {
  t.test(title, { skip: isMissing && 'needs uwsgi (Debian package uwsgi-core)' }, async t => {
    const folder = t.testdir({ words: 'word\n', sub: { 'inc.ini': '[uwsgi]\ni = %n %N\n[blue]\nb = %x %d\n' } })
    writeFileSync(join(folder, 'main.ini'), ['[uwsgi]', ...lines, ''].join('\n'))
    t.same(readOurs(folder), readTheirs(folder))
  })
}

/** What uWSGI lists before it exits; the steering lines and those that we do not pass on are left out. */
function readTheirs(folder: string): string[] {
  const args = ['--ini', 'main.ini', '--show-config', '--no-server']
  const { stderr, status } = spawnSync('uwsgi', args, {
    cwd: folder,
    env: ENVIRONMENT,
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
  if (status !== 0) throw new Error(`uwsgi failed: ${status}: ${stderr}`)
  return linesOf(stderr)
}

function linesOf(printed: string): string[] {
  const block = /^\[uwsgi\]\n(.*)^;end of configuration/ms.exec(printed)?.[1] ?? ''
  const steering =
    /^(ini|include|if-[\w-]+|for[\w-]*|else|end[\w-]*|set|set-ph|set-placeholder|show-config|no-server) = /
  return block.split('\n').filter(line => line !== '' && !steering.test(line))
}

function readOurs(folder: string): string[] {
  const { entries, mistakes } = readIni('main.ini', {
    facts: { cwd: folder, hostname: 'box', uid: 0, gid: 0, user: 'root', group: 'root', cores: 1 },
    environment: ENVIRONMENT,
    files: realFiles,
    flagValue: () => undefined,
  })
  if (mistakes.length > 0) throw new Error(JSON.stringify(mistakes))
  const context = {
    environment: ENVIRONMENT,
    read: (path: string) => realFiles.read(join(folder, path)),
    firstValue: (key: string) => entries.find(entry => entry.key === key)?.value,
  }
  return entries.map(({ key, value }) => `${key} = ${expand(value, context).text}`)
}
