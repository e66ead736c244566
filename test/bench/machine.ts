import t from 'tap'
import { busyWarning, describeMachine } from '../../bench/machine.js'

t.test('busyWarning', t => {
  const cases: [string, number, number, RegExp | null][] = [
    ['quiet', 0.1, 2, null],
    ['at the bound', 0.5, 2, null],
    ['busy', 1.234, 2, /load 1\.23 on 2 cores/],
    ['little for many cores', 1.2, 16, null],
  ]
  for (const [title, load, cores, expected] of cases) {
    const warning = busyWarning(load, cores)
    if (expected === null) t.equal(warning, null, title)
    else t.match(warning, expected, title)
  }
  t.end()
})

t.test('describeMachine', t => {
  const machine = describeMachine(new Date('2026-03-04T05:06:07Z'))
  t.equal(machine.date, '2026-03-04')
  t.equal(machine.versions.node, process.versions.node)
  t.match(machine.versions.daimyo, /^\d+\.\d+\.\d+/)
  t.equal(machine.versions['http-proxy'], '1.18.1')
  t.match(machine.kernel, /^[\d.]+$/, 'without what its builder added')
  t.end()
})
