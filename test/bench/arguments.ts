import t from 'tap'
import { type BenchArguments, helpText, parseArguments } from '../../bench/arguments.js'

const defaults: BenchArguments = {
  seconds: 4,
  rounds: 3,
  only: [],
  connections: [],
  all: false,
  app: null,
  json: null,
  write: false,
  help: false,
}

t.test('parseArguments', t => {
  const cases: [string, string, BenchArguments][] = [
    ['nothing', '', defaults],
    ['numbers', '--seconds 2 --rounds=9', { ...defaults, seconds: 2, rounds: 9 }],
    [
      'lists',
      '--only json,post-4k --connections 1,64',
      { ...defaults, only: ['json', 'post-4k'], connections: [1, 64] },
    ],
    ['files', '--json out.json --app my.js', { ...defaults, json: 'out.json', app: 'my.js' }],
    ['switches', '--all --write --help', { ...defaults, all: true, write: true, help: true }],
  ]
  for (const [title, line, expected] of cases)
    t.strictSame(parseArguments(line.split(' ').filter(Boolean)), expected, title)
  t.end()
})

t.test('parseArguments refuses', t => {
  const cases: [string, string[], RegExp][] = [
    ['an unknown option', ['--secnods', '2'], /--secnods/],
    ['a word', ['json'], /json/],
    ['no value', ['--seconds'], /--seconds/],
    ['zero', ['--seconds', '0'], /--seconds: received "0": accepted 1 to 600/],
    ['a fraction: wrk takes whole seconds', ['--seconds', '1.5'], /received "1\.5"/],
    ['too many', ['--rounds', '100'], /--rounds: received "100": accepted 1 to 99/],
    ['an empty item', ['--connections', '1,,2'], /--connections: received ""/],
    ['a sign', ['--connections=-1'], /--connections: received "-1"/],
    ['a document of a part', ['--write', '--only', 'json'], /--write: not together with/],
    ['a document of other connections', ['--write', '--connections', '3'], /--write: not together with/],
    ['a document of another application', ['--write', '--app', 'x.js'], /--write: not together with/],
  ]
  for (const [title, argv, message] of cases)
    t.throws(() => parseArguments(argv), { code: 'BENCH_USAGE', exitCode: 64, message }, title)
  t.end()
})

t.test('the help names every option', t => {
  for (const name of Object.keys(defaults)) t.match(helpText(), `--${name} `, name)
  t.end()
})
