/** What the options about the number of workers must have in common: `supervisor/config/check-scaling.ts`. */

import t from 'tap'
import { readSettings } from '../../../supervisor/config/read-settings.js'

const read = (lines: string[]) => {
  const flags = lines.map(line => {
    const [name = '', value = ''] = line.split('=')
    return { name, value, place: `--${name}` }
  })
  return readSettings({ iniPath: null, flags, environment: {}, cwd: '/', cores: 4, uid: 1000, gid: 1000 })
}

const serves = ['http=127.0.0.1:0', 'check-static=/', 'metrics=false']
const refused: [lines: string[], message: RegExp][] = [
  [['processes=2', 'cheaper=3'], /^cheaper: received 3: accepted at most `processes`, which is 2/],
  [
    ['processes=4', 'cheaper=2', 'cheaper-initial=1'],
    /^cheaper-initial: received 1: accepted a number from .*2.* to .*4/,
  ],
  [['processes=4', 'cheaper=2', 'cheaper-initial=5'], /^cheaper-initial: received 5/],
  [['cheaper-busyness-min=50', 'cheaper-busyness-max=50'], /^cheaper-busyness-min: received 50: accepted less/],
  [['cheaper-rss-limit-soft=2g', 'cheaper-rss-limit-hard=1g'], /^cheaper-rss-limit-soft: received more/],
  [['die-on-idle=true'], /^die-on-idle: received no `idle`/],
  [['cheaper-algo=backlog'], /^cheaper-algo: received backlog: accepted one of spare, busyness, manual, queue/],
  [['cheaper-algo=busynes'], /did you mean .*busyness/i],
  [['reload-on-rss=512M'], /^reload-on-rss: received 512M: accepted megabytes .*did you mean .*512/i],
  [['node-args=server.js'], /^node-args: received server.js: accepted options of Node/],
]

for (const [lines, message] of refused) {
  t.test(lines.join(' '), t => {
    const { mistakes, settings } = read([...serves, ...lines])
    t.match(
      mistakes.map(mistake => mistake.message),
      [message],
    )
    t.equal(settings, null)
    t.end()
  })
}

t.test('what is accepted', t => {
  const { settings, mistakes } = read([
    ...serves,
    'processes=4',
    'cheaper=4',
    'idle=60',
    'die-on-idle',
    'cheaper-algo=queue',
  ])
  t.same(mistakes, [])
  t.match(settings, { idleMs: 60_000, dieOnIdle: true, cheaper: 4, cheaperAlgo: 'queue' })
  t.end()
})

t.test('options of cheaper without it are remarked upon', t => {
  const { remarks } = read([...serves, 'cheaper-step=2'])
  t.match(
    remarks.map(({ message }) => message),
    [/^cheaper-step: counts for nothing without `cheaper`/],
  )
  t.end()
})
