/** Tests of the command line: commands, options in all their spellings, and what cannot be understood. */

import t from 'tap'
import { type CommandLine, parseCommandLine } from '../../../supervisor/command/command-line.js'

const flag = (name: string, value: string): { name: string; value: string; place: string } => ({
  name,
  value,
  place: `--${name}`,
})
const words = (text: string): string[] => text.split(' ').filter(word => word !== '')

const understood: [argv: string, expected: CommandLine, environment?: Record<string, string>][] = [
  ['conf/farm.ini', { command: 'run', iniPath: 'conf/farm.ini', flags: [] }],
  ['run conf/farm.ini', { command: 'run', iniPath: 'conf/farm.ini', flags: [] }],
  ['--ini conf/farm.ini --processes 4', { command: 'run', iniPath: 'conf/farm.ini', flags: [flag('processes', '4')] }],
  ['--ini=conf/farm.ini --processes=4', { command: 'run', iniPath: 'conf/farm.ini', flags: [flag('processes', '4')] }],
  ['--processes 4 conf/farm.ini', { command: 'run', iniPath: 'conf/farm.ini', flags: [flag('processes', '4')] }],
  ['a.ini:prod', { command: 'run', iniPath: 'a.ini:prod', flags: [] }],
  ['systemd a.ini', { command: 'systemd', folder: null, iniPath: 'a.ini', flags: [] }],
  ['systemd a.ini /etc', { command: 'systemd', folder: '/etc', iniPath: 'a.ini', flags: [] }],
  ['systemd', { command: 'systemd', folder: null, iniPath: 'd.ini', flags: [] }, { DAIMYO_INI: 'd.ini' }],
  ['doctor a.ini', { command: 'doctor', iniPath: 'a.ini', flags: [] }],
  ['help service', { command: 'help', topic: 'service' }],
  ['./check', { command: 'run', iniPath: './check', flags: [] }],
  ['', { command: 'run', iniPath: 'd.ini', flags: [] }, { DAIMYO_INI: 'd.ini' }],
  ['a.ini', { command: 'run', iniPath: 'a.ini', flags: [] }, { DAIMYO_INI: 'd.ini' }],
  ['--http :1 --app x.js', { command: 'run', iniPath: null, flags: [flag('http', ':1'), flag('app', 'x.js')] }],
  ['a.ini --master', { command: 'run', iniPath: 'a.ini', flags: [flag('master', '')] }],
  ['--master a.ini', { command: 'run', iniPath: 'a.ini', flags: [flag('master', '')] }],
  ['--master false a.ini', { command: 'run', iniPath: 'a.ini', flags: [flag('master', 'false')] }],
  ['--vacuum=no a.ini', { command: 'run', iniPath: 'a.ini', flags: [flag('vacuum', 'no')] }],
  ['--metrics a.ini', { command: 'run', iniPath: 'a.ini', flags: [flag('metrics', '')] }],
  ['--metrics :9 a.ini', { command: 'run', iniPath: 'a.ini', flags: [flag('metrics', ':9')] }],
  [
    'a.ini --env A=b=c --env=B=',
    { command: 'run', iniPath: 'a.ini', flags: [flag('env', 'A=b=c'), flag('env', 'B=')] },
  ],
  ['a.ini --harakiri -1', { command: 'run', iniPath: 'a.ini', flags: [flag('harakiri', '-1')] }],
  [
    'a.ini --set-placeholder a=b --set c=d',
    { command: 'run', iniPath: 'a.ini', flags: [flag('set-placeholder', 'a=b'), flag('set', 'c=d')] },
  ],
  [
    'a.ini --workers 2 --http-socket :1',
    { command: 'run', iniPath: 'a.ini', flags: [flag('workers', '2'), flag('http-socket', ':1')] },
  ],
  [
    '--enable-threads --plugins python3 a.ini',
    { command: 'run', iniPath: 'a.ini', flags: [flag('enable-threads', ''), flag('plugins', 'python3')] },
  ],
  ['--socket :3031 a.ini', { command: 'run', iniPath: 'a.ini', flags: [flag('socket', ':3031')] }],
  ['check --all a.ini', { command: 'check', all: true, iniPath: 'a.ini', flags: [] }],
  ['check a.ini', { command: 'check', all: false, iniPath: 'a.ini', flags: [] }],
  ['check a.ini --processes 4', { command: 'check', all: false, iniPath: 'a.ini', flags: [flag('processes', '4')] }],
  ['--processes 4 check a.ini', { command: 'check', all: false, iniPath: 'a.ini', flags: [flag('processes', '4')] }],
  ['run farm', { command: 'run', iniPath: 'farm', flags: [] }],
  ['check farm', { command: 'check', all: false, iniPath: 'farm', flags: [] }],
  ['start a.ini', { command: 'start', iniPath: 'a.ini', flags: [] }],
  ['start --ini a.ini --listen 5', { command: 'start', iniPath: 'a.ini', flags: [flag('listen', '5')] }],
  ['stop', { command: 'stop', iniPath: 'd.ini', flags: [] }, { DAIMYO_INI: 'd.ini' }],
  ['reload a.ini', { command: 'reload', iniPath: 'a.ini', flags: [], waits: true }],
  ['reload --wait a.ini', { command: 'reload', iniPath: 'a.ini', flags: [], waits: true }],
  ['reload a.ini --no-wait', { command: 'reload', iniPath: 'a.ini', flags: [], waits: false }],
  ['status a.ini', { command: 'status', iniPath: 'a.ini', flags: [], json: false }],
  ['status --json a.ini', { command: 'status', iniPath: 'a.ini', flags: [], json: true }],
  ['get /x a.ini', { command: 'get', path: '/x', iniPath: 'a.ini', flags: [], head: false }],
  [
    'get -i /x?y=1',
    { command: 'get', path: '/x?y=1', iniPath: 'd.ini', flags: [], head: true },
    { DAIMYO_INI: 'd.ini' },
  ],
  ['scale 4 a.ini', { command: 'scale', wanted: 4, iniPath: 'a.ini', flags: [] }],
  ['restart-worker 2', { command: 'restart-worker', slot: 2, iniPath: 'd.ini', flags: [] }, { DAIMYO_INI: 'd.ini' }],
  ['scale auto a.ini', { command: 'scale', wanted: 'auto', iniPath: 'a.ini', flags: [] }],
  ['pause a.ini', { command: 'pause', iniPath: 'a.ini', flags: [] }],
  ['resume --ini a.ini', { command: 'resume', iniPath: 'a.ini', flags: [] }],
  ['logs reopen a.ini', { command: 'logs', action: 'reopen', iniPath: 'a.ini', flags: [] }],
  ['hash-password', { command: 'hash-password' }],
  ['help', { command: 'help', topic: 'usage' }],
  ['help options', { command: 'help', topic: 'options' }],
  ['--help', { command: 'help', topic: 'usage' }],
  ['help harakiri', { command: 'explain', word: 'harakiri' }],
  ['help --processes', { command: 'explain', word: '--processes' }],
  ['help -t', { command: 'explain', word: '-t' }],
  ['help --help', { command: 'explain', word: 'help' }],
  ['reload --help', { command: 'explain', word: 'reload' }],
  ['reload a.ini -h', { command: 'explain', word: 'reload' }],
  ['a.ini --processes 4 -h', { command: 'help', topic: 'usage' }],
  ['--version', { command: 'version' }],
  ['-V', { command: 'version' }],
  ['-v', { command: 'version' }],
  ['version', { command: 'version' }],
]
for (const [argv, expected, environment = {}] of understood) {
  t.test(`daimyo ${argv}`, async t => t.same(parseCommandLine(words(argv), environment), expected))
}

const refused: [argv: string, message: RegExp][] = [
  ['', /^run: received no configuration: accepted an INI/],
  ['status', /^status: received no configuration: .* DAIMYO_INI/],
  ['relaod', /^unknown command: received relaod: accepted run, check, .* \(did you mean `reload`\?\)$/],
  ['banana a.ini', /^unknown command: received banana: /],
  ['a.ini b.ini', /^run: received b.ini besides a.ini: accepted one INI$/],
  ['a.ini --ini b.ini', /^run: received a.ini besides --ini b.ini/],
  ['--ini a.ini --ini b.ini', /^--ini: received a.ini and b.ini/],
  ['a.ini --proceses 4', /^unknown option: received --proceses: .* \(did you mean `--processes`\?\)$/],
  ['a.ini --banana-split', /^unknown option: received --banana-split: accepted an option of `daimyo --help`$/],
  ['a.ini --password=hunter2', /^unknown option: received --password: [^=]*$/],
  ['a.ini --constructor', /^unknown option: received --constructor/],
  ['a.ini --', /^unknown option: received --:/],
  ['a.ini -p 4', /^unknown option: received -p: accepted options with two dashes/],
  ['a.ini --processes', /^--processes: received no value: accepted `--processes VALUE`/],
  ['a.ini --processes --master', /^--processes: received no value/],
  ['get', /^get: received no path: accepted a path/],
  ['get a.ini', /^get: received a.ini: accepted a path/],
  ['scale a.ini', /^scale: received a.ini: accepted how many workers/],
  ['scale -1 a.ini', /^unknown option: received -1/],
  ['scale', /^scale: received no number/],
  ['restart-worker one a.ini', /^restart-worker: received one: accepted a slot/],
  ['logs a.ini', /^logs: received a.ini: accepted `daimyo logs reopen`$/],
  ['get /x a.ini b.ini', /^get: received b.ini besides a.ini/],
  ['stop --no-wait a.ini', /^--no-wait: received with `stop`: accepted with `reload`$/],
  ['check --json a.ini', /^--json: received with `check`: accepted with `status`$/],
  ['-i a.ini', /^-i: received with `run`: accepted with `get`$/],
  ['hash-password hunter2', /^hash-password: received arguments: accepted none/],
  ['hash-password --processes 4', /^hash-password: received arguments/],
  ['reload -v a.ini', /^unknown option: received -v: accepted options with two dashes/],
  ['help options service', /^help: received options service: accepted one word at most$/],
  ['restart a.ini', /^unknown command: received restart: .* \(here: `daimyo reload` for new code/],
  ['list', /\(here: `daimyo status`\)$/],
  ['-t a.ini', /^unknown option: received -t: .* \(here: `daimyo check`\)$/],
  ['a.ini --bind :80', /^unknown option: received --bind: .* \(Gunicorn’s `bind` is here `--http`\)$/],
  ['a.ini --proces 4', /\(did you mean `--processes`\?\)$/],
]
for (const [argv, message] of refused) {
  t.test(`refuses daimyo ${argv}`, async t => {
    const parsed = parseCommandLine(words(argv), {})
    t.match(parsed, { command: 'usage-error', message, exitCode: 64 })
    t.notMatch(JSON.stringify(parsed), 'hunter2')
  })
}

t.test('an empty word is not an INI', async t => {
  t.match(parseCommandLine([''], {}), { command: 'usage-error' })
})
