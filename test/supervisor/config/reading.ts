/**
 * Reads an INI of a few lines with files in memory: used by the tests of `read-settings.ts`.
 */

import { readSettings, type SettingsSource } from '../../../supervisor/config/read-settings.js'
import type { Reading } from '../../../supervisor/config/settings.js'
import { memoryFiles } from './memory-files.js'

/** A well-formed password hash. */
export const HASH = `scrypt$16384$8$5$${Buffer.alloc(16).toString('base64url')}$${Buffer.alloc(32).toString('base64url')}`
/** The fewest lines that are a configuration. */
export const BASE = ['http = 127.0.0.1:8080', 'app = app.js']

/** What is there besides `shop.ini`. */
export const FILES = {
  '/srv/app.js': '',
  '/srv/public/x': '',
  '/srv/sub/app.js': '',
  '/srv/sub/public/x': '',
  '/srv/common.ini': '[uwsgi]\nprocesses = banana\n[ok]\nprocesses = 3',
  '/srv/hash': `prometheus:${HASH}\n`,
  '/run/x': '',
  '/etc/passwd': 'root:x:0:0::/:\nwww-data:x:33:34::/:\n',
  '/etc/group': 'root:x:0:\nadm:x:4:\n',
}

/** `lines` stand below `[uwsgi]`: the first one is line 2. */
export function read(lines: string[], source: Partial<SettingsSource> & { args?: string[] } = {}): Reading {
  const { args = [], ...rest } = source
  return readSettings({
    iniPath: 'shop.ini',
    flags: args.map(arg => ({
      name: arg.split('=')[0] ?? '',
      value: arg.replace(/^[^=]*=?/, ''),
      place: `--${arg.split('=')[0]}`,
    })),
    environment: { HOME: '/root', DB_PASSWORD: 'hunter2' },
    cwd: '/srv',
    cores: 4,
    uid: 1000,
    gid: 1000,
    files: memoryFiles({ ...FILES, '/srv/shop.ini': ['[uwsgi]', ...lines].join('\n') }),
    ...rest,
  })
}
