/** Who commands a root master besides root: `supervisor/config/ini/ini-changers.ts`. */

import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { remarkFifos } from '../../../../supervisor/config/ini/ini-changers.js'
import { scratchFolder } from '../../fixtures/scratch-folder.js'

const service = { user: null, uid: 65_534, gid: 65_534 }

t.test(
  'a FIFO where the service may make one is told',
  { skip: process.geteuid?.() !== 0 && 'needs root' },
  async t => {
    const folder = scratchFolder(t)
    chmodSync(dirname(folder), 0o755)
    const services = join(folder, 'services')
    mkdirSync(services)
    chownSync(services, service.uid, service.gid)
    const remarks = (paths: string[]) =>
      remarkFifos(
        paths.map((path, at) => ({ path, place: `a.ini:${at + 1}` })),
        service,
      )
    t.same(remarks([join(folder, 'fifo'), join(folder, 'no/such/fifo')]), [])
    t.match(remarks([join(folder, 'fifo'), join(services, 'fifo'), join(services, 'no/fifo')]), [
      { place: 'a.ini:2', message: /^master-fifo: .* commands the master by it, as root does: .*services belongs to/ },
      { place: 'a.ini:3', message: /^master-fifo: / },
    ])
    t.same(remarkFifos([{ path: join(services, 'fifo'), place: 'a.ini' }], null), [], 'without uid all is root')
  },
)
