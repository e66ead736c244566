/** Tests `supervisor/command/read-or-refuse.ts`. */

import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { readOrRefuse } from '../../../supervisor/command/read-or-refuse.js'
import type { Settings } from '../../../supervisor/config/values/settings.js'
import { keptContext } from '../fixtures/fake-master.js'

const settings = { processes: 2 } as Settings
const finding = (line: number) => ({ place: `shop.ini:${line}`, message: `key${line}: unknown` })

t.test('remarks are told, and the settings come back', async t => {
  const context = keptContext('/')
  t.equal(readOrRefuse({ settings, mistakes: [], remarks: [finding(1)] }, 'cannot start', context), settings)
  t.equal(context.err, 'shop.ini:1: key1: unknown\n')
})

t.test('all mistakes are told, and refused', async t => {
  for (const given of [settings, null]) {
    const context = keptContext('/')
    const reading = { settings: given, mistakes: [finding(1), finding(2)], remarks: [] }
    t.throws(() => readOrRefuse(reading, 'cannot start', context), {
      code: 'config',
      exitCode: EXIT.config,
      message: 'cannot start: the configuration has 2 mistakes',
    })
    t.equal(context.err, 'shop.ini:1: key1: unknown\nshop.ini:2: key2: unknown\n')
  }
})
