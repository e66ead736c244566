/**
 * The rows of the option table that read the environment of workers and commands from files. A part of
 * `application-options.ts`; `options.ts` explains a row. `environment-files.ts` reads the files.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'

const fromFiles = {
  section: 'application',
  kind: kind.path('chdir'),
  default: null,
  repeatable: true,
  takesEffect: 'next-generation',
} as const

export const ENVIRONMENT_OPTIONS = {
  'env-file': {
    ...fromFiles,
    replaces: { pm2: 'env_file' },
    summary:
      'File of NAME=VALUE lines for the environment of workers and commands, as EnvironmentFile of systemd or `.env`: `#` comments, ' +
      '`export`, values in single or double quotes, over several lines too. Read at the start and at each reload, and never shown. What ' +
      'systemd and dotenv read differently is refused: a backslash outside single quotes, `#` outside quotes; with `uid` as root also a file ' +
      'that others than root may write. A later file goes before ' +
      'an earlier one, `env` before all. A relative path counts from `chdir`.',
    example: 'env-file = /etc/daimyo/shop.env',
    setting: 'environmentFiles',
    neededBy: ['master'],
  },
  envdir: {
    ...fromFiles,
    aliases: ['early-envdir'],
    replaces: { uwsgi: 'envdir' },
    summary:
      'Folder with a file for each environment variable of workers and commands, as envdir of daemontools reads it: the first line ' +
      'is the value, NUL in it a line break, an empty file takes the variable away; hidden files do not count. Otherwise as `env-file`, before ' +
      'which it goes. A relative path counts from `chdir`.',
    example: 'envdir = /etc/daimyo/shop.envdir',
    setting: 'environmentFiles',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
