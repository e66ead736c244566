/** Tests `supervisor/daimyo.ts`: exit statuses, and one line for each operating error. */

import { mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { Site } from './fixtures/daimyo-program.js'

const site = new Site(t)
writeFileSync(site.path('wrong.ini'), '[uwsgi]\nprocesses = many\nharakri = 3\n')

const cases: [string, string[], number, RegExp, RegExp][] = [
  ['the version', ['--version'], EXIT.ok, /^\d+\.\d+\.\d+\n$/, /^$/],
  ['help', ['--help'], EXIT.ok, /Usage:\n(.|\n)* harakiri /, /^$/],
  ['all options', ['help', 'options'], EXIT.ok, /harakiri/, /^$/],
  ['an option explained', ['help', 'harakiri'], EXIT.ok, /^--harakiri SECONDS\n/, /^$/],
  ['a word of nobody', ['help', 'banana'], EXIT.usage, /^$/, /^daimyo: help: received banana: accepted .*\n$/],
  ['nothing', [], EXIT.usage, /^$/, /^daimyo: run: received no configuration.*\n$/],
  ['an unknown command', ['relaod'], EXIT.usage, /^$/, /^daimyo: unknown command: .*did you mean `reload`.*\n$/],
  ['an unknown option', ['--harakri=3', 'site.ini'], EXIT.usage, /^$/, /^daimyo: unknown option: .*--harakiri.*\n$/],
  ['a good INI', ['check', 'site.ini'], EXIT.ok, /^site\.ini: OK\n/, /^$/],
  ['a wrong one', ['check', 'wrong.ini'], EXIT.config, /wrong\.ini:2: processes(.|\n)*wrong\.ini:3: .*harakri/, /^$/],
  [
    'a wrong one, run',
    ['wrong.ini'],
    EXIT.config,
    /^$/,
    /wrong\.ini:2: processes(.|\n)*\ndaimyo: cannot start: .* mistakes\n$/,
  ],
  ['a wrong one, started', ['start', 'wrong.ini'], EXIT.config, /^$/, /\ndaimyo: cannot start: .* mistakes\n$/],
  ['no INI there', ['check', 'none.ini'], EXIT.config, /none\.ini/, /^$/],
  ['status of nothing', ['status', 'site.ini'], EXIT.unavailable, /^$/, /^daimyo: not running: .*control\.sock\n$/],
  [
    'status without an INI there',
    ['status', 'none.ini'],
    EXIT.unavailable,
    /^$/,
    /^daimyo: not running: .*, and there is no file .*none\.ini\n$/,
  ],
  ['reload of nothing', ['reload', 'site.ini'], EXIT.unavailable, /^$/, /^daimyo: not running: .*\n$/],
  ['stop of nothing', ['stop', 'site.ini'], EXIT.unavailable, /^$/, /^daimyo: not running: .*\n$/],
  ['get from nothing', ['get', '/', 'site.ini'], EXIT.unavailable, /^$/, /^daimyo: not running: .*\n$/],
  ['get of no path', ['get', 'site.ini'], EXIT.usage, /^$/, /^daimyo: get: received site\.ini.*\n$/],
  ['a password that is an argument', ['hash-password', 'geheim'], EXIT.usage, /^$/, /^daimyo: hash-password: .*\n$/],
  [
    'a password that is empty',
    ['hash-password'],
    EXIT.usage,
    /^$/,
    /^daimyo: cannot hash the password: it is empty\n$/,
  ],
]
for (const [title, args, code, out, err] of cases) {
  t.test(title, async t => {
    const ended = await site.run(...args)
    t.equal(ended.code, code)
    t.match(ended.out, out)
    // Whoever runs the tests as root is told that so does the application: a remark, not an error.
    t.match(ended.err.replace(/^.*uid: not set.*\n/m, ''), err)
    t.notMatch(ended.err, /^\s+at /m, 'no stack')
  })
}

t.test('in a folder that was removed', async t => {
  const site = new Site(t)
  const cases: [args: string[], code: number, out: RegExp, err: RegExp][] = [
    [['check', site.ini], EXIT.os, /^$/, /^daimyo: this folder has been removed: change into one that is there\n$/],
    [['--version'], EXIT.ok, /^\d/, /^$/],
    [['help', 'harakiri'], EXIT.ok, /^--harakiri/, /^$/],
  ]
  for (const [args, code, out, err] of cases) {
    site.workingFolder = site.path('removed')
    mkdirSync(site.workingFolder)
    // Removed by a shell in it, which becomes the command.
    const ended = await site.runBy(['sh', '-c', 'rmdir "$PWD"; exec "$@"', 'sh'], ...args)
    t.match(ended, { code, out, err })
  }
})
