import t from 'tap'
import { benchIni, daimyo, daimyoWithTwoProxies } from '../../../bench/stacks/daimyo.js'

const bed = { folder: '/bed', port: 8080, sparePort: 8081, app: '/app.js', siteFolder: '/bed/site' }

t.test('the INI sets places and numbers, and turns nothing off', t => {
  t.strictSame(benchIni(bed, 1).trimEnd().split('\n'), [
    '[uwsgi]',
    'master = true',
    'processes = 2',
    'http-processes = 1',
    'http = 127.0.0.1:8080',
    'app = /app.js',
    'mount = /api',
    'static-map = /static=/bed/site',
    'metrics = 127.0.0.1:8081',
    'run-dir = /bed/run',
    'logto = /bed/daimyo.log',
  ])
  t.end()
})

t.test('a twin counts garbage collection: the same INI, and a preload that the measured stack does not have', t => {
  for (const stack of [daimyo, daimyoWithTwoProxies]) {
    const plain = stack.plan(bed)
    const counting = stack.counting?.plan(bed)
    t.strictSame(counting?.files, plain.files)
    t.match(counting?.programs[0]?.env, { NODE_OPTIONS: /gc-preload\.cjs/, BENCH_GC_FOLDER: '/bed' })
    t.notOk('NODE_OPTIONS' in (plain.programs[0]?.env ?? {}))
  }
  t.end()
})

t.test('it is started by its real command', t => {
  const { programs, files } = daimyo.plan(bed)
  t.equal(programs.length, 1)
  t.match(programs[0]?.args, [/\/supervisor\/daimyo\.js$/, '--ini', '/bed/bench.ini'])
  t.strictSame(files, [{ name: 'bench.ini', text: benchIni(bed, 1) }])
  t.strictSame(daimyoWithTwoProxies.plan(bed).files, [{ name: 'bench.ini', text: benchIni(bed, 2) }])
  t.end()
})
