/**
 * State that an application keeps in the memory of one process, as far as its `package.json` tells. With several
 * workers its clients must come back to the same one (`sticky`), or the state must be shared. Pure but for the file it
 * reads.
 */

import { dirname, join } from 'node:path'
import { parseWithin } from '../../kit/channel/json-bounds.js'
import type { OptionValues } from '../../kit/options/settings.js'
import type { ConfigFiles } from './ini/config-files.js'

/** A package that keeps such state. With a package of `unless` beside it there is no remark. */
interface Keeper {
  packages: readonly string[]
  keeps: string
  remedy: string
  unless: RegExp | null
}

const KEEPERS: readonly Keeper[] = [
  {
    packages: ['socket.io', 'engine.io', '@nestjs/platform-socket.io', 'sockjs'],
    keeps: 'whose long polling has each client at one worker',
    remedy: "`sticky = NAME`, or WebSockets alone in the client (`transports: ['websocket']`)",
    unless: null,
  },
  {
    packages: ['express-session', '@fastify/session'],
    keeps: 'whose sessions are in the memory of one worker, unless it has a store',
    remedy: '`sticky = NAME`, or a store that the workers share',
    unless:
      /(^|[/-])connect-|session-(file-)?(store|sequelize|knex|dynamodb)|(mysql|redis|sqlite3?|prisma|typeorm|firestore|cassandra)-(session|store)/,
  },
]

/** More folders above the application are not looked into. */
const MOST_FOLDERS = 20

/** The remark about `sticky`; null: no need is visible. */
export function remarkKeptState(values: OptionValues, files: Pick<ConfigFiles, 'read'>): string | null {
  if (values.app === null || values.sticky !== null || values.processes < 2) return null
  const found = dependenciesOf(values.app, files)
  for (const { packages, keeps, remedy, unless } of KEEPERS) {
    const name = packages.find(each => found.includes(each))
    if (name === undefined || (unless !== null && found.some(each => unless.test(each)))) continue
    return `sticky: not set: package.json names ${name}, ${keeps}: accepted ${remedy}`
  }
  return null
}

/** The dependencies in the nearest `package.json`; none if it is missing or not valid: Node reports that better. */
function dependenciesOf(app: string, files: Pick<ConfigFiles, 'read'>): string[] {
  for (let folder = dirname(app), count = 0; count < MOST_FOLDERS; folder = dirname(folder), count++) {
    const read = files.read(join(folder, 'package.json'))
    if (read.ok) return namesIn(read.text)
    if (folder === dirname(folder)) break
  }
  return []
}

/** Of a large package.json. The service's user may have written it. */
const PACKAGE_BOUNDS = { depth: 50, values: 50_000, members: 10_000, beginnings: 20_000, numerals: 100 }

function namesIn(text: string): string[] {
  try {
    const { dependencies } = (parseWithin(text, PACKAGE_BOUNDS) ?? {}) as { dependencies?: unknown }
    return typeof dependencies === 'object' && dependencies !== null ? Object.keys(dependencies) : []
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return []
  }
}
