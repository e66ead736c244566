/** Tests `supervisor/host/version.ts`. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageFolder, readVersion } from '../../../supervisor/host/version.js'

t.ok(existsSync(join(packageFolder(), 'LICENSE')))
t.equal(readVersion(), JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8')).version)
t.match(readVersion(), /^\d+\.\d+\.\d+/)
