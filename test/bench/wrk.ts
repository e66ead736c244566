import t from 'tap'
import { countErrors, parseWrk, type WrkOptions, wrkArguments } from '../../bench/wrk.js'

/** What wrk 4.1 prints, with the lines that vary put in. */
const report = ({
  p50 = '1.50ms',
  p99 = '12.00ms',
  errors = '',
  requests = '40000 requests in 4.00s, 6.10MB read',
} = {}): string => `Running 4s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.11ms    1.01ms  30.99ms   91.00%
    Req/Sec    10.10k     1.00k   12.00k    70.00%
  Latency Distribution
     50%    ${p50}
     75%    2.00ms
     90%    3.00ms
     99%   ${p99}
  ${requests}
${errors}Requests/sec:  10001.25
Transfer/sec:      1.52MB
`

const none = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 }
const plain = { requests: 40_000, requestsPerSecond: 10_001.25, p50Ms: 1.5, p99Ms: 12, errors: none }
const socketErrors = '  Socket errors: connect 1, read 22, write 3, timeout 4\n'

t.test('parseWrk reads what wrk prints', t => {
  const cases: [string, string, object][] = [
    ['milliseconds', report(), plain],
    ['microseconds', report({ p50: '250.00us', p99: '999.00us' }), { ...plain, p50Ms: 0.25, p99Ms: 0.999 }],
    [
      'seconds and minutes, with the blank behind them',
      report({ p50: '1.25s ', p99: '1.00m ' }),
      { ...plain, p50Ms: 1250, p99Ms: 60_000 },
    ],
    [
      'socket errors',
      report({ errors: socketErrors }),
      { ...plain, errors: { connect: 1, read: 22, write: 3, timeout: 4, status: 0 } },
    ],
    [
      'wrong statuses',
      report({ errors: '  Non-2xx or 3xx responses: 17\n' }),
      { ...plain, errors: { ...none, status: 17 } },
    ],
    [
      'both',
      report({ errors: `${socketErrors}  Non-2xx or 3xx responses: 5\n` }),
      { ...plain, errors: { connect: 1, read: 22, write: 3, timeout: 4, status: 5 } },
    ],
    [
      'no answer at all',
      report({ requests: '0 requests in 2.00s, 0.00B read', p50: '0.00us', p99: '0.00us' }),
      { ...plain, requests: 0, p50Ms: 0, p99Ms: 0 },
    ],
  ]
  for (const [title, text, expected] of cases) t.strictSame(parseWrk(text), expected, title)
  t.end()
})

t.test('parseWrk refuses what it cannot read', t => {
  const cases: [string, string, RegExp][] = [
    ['nothing', '', /requests: not in ""/],
    ['no percentiles', report().replace(/^ +99%.*$/m, ''), /99th percentile: not in/],
    ['no rate', report().replace(/^Requests\/sec.*$/m, ''), /requests per second: not in/],
    ['a unit that wrk does not have', report({ p50: '1.00d' }), /time "1\.00d": accepted us, ms, s, m, h/],
    ['no number', report({ p50: '-nanus' }), /time "-nanus"/],
  ]
  for (const [title, text, message] of cases)
    t.throws(() => parseWrk(text), { code: 'BENCH_WRK_OUTPUT', message }, title)
  t.end()
})

t.test('countErrors adds up all kinds', t => {
  t.equal(countErrors(none), 0)
  t.equal(countErrors({ connect: 1, read: 20, write: 300, timeout: 4000, status: 50_000 }), 54_321)
  t.end()
})

t.test('wrkArguments is one run of one thread', t => {
  const get: WrkOptions = { program: 'wrk', url: 'http://h/p', connections: 8, seconds: 2, headers: {}, script: null }
  const cases: [string, WrkOptions, string[]][] = [
    ['a GET', get, ['--latency', '-t', '1', '-c', '8', '-d', '2s', 'http://h/p']],
    [
      'a header',
      { ...get, headers: { 'If-None-Match': '"a"' } },
      ['--latency', '-t', '1', '-c', '8', '-d', '2s', '-H', 'If-None-Match: "a"', 'http://h/p'],
    ],
    [
      'a script',
      { ...get, script: '/x.lua' },
      ['--latency', '-t', '1', '-c', '8', '-d', '2s', '-s', '/x.lua', 'http://h/p'],
    ],
  ]
  for (const [title, options, expected] of cases) t.strictSame(wrkArguments(options), expected, title)
  t.end()
})
