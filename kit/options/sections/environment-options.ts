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
      'File of NAME=VALUE lines for the environment of workers and commands, as EnvironmentFile of systemd or ' +
      '`.env`: `#` comments, `export`, values in single or double quotes, also over several lines. It is read at ' +
      'the start and at each reload, and never shown. Text that systemd and dotenv read differently is refused: a ' +
      'backslash outside single quotes, `#` outside quotes. With `uid` as root, a file that others than root may ' +
      'write is refused too. A later file overrides an earlier one, and `env` overrides all files. Relative to ' +
      '`chdir`.',
    example: 'env-file = /etc/daimyo/shop.env',
    setting: 'environmentFiles',
    neededBy: ['master'],
  },
  envdir: {
    ...fromFiles,
    aliases: ['early-envdir'],
    replaces: { uwsgi: 'envdir' },
    summary:
      'Folder with one file for each environment variable of workers and commands, as envdir of daemontools reads ' +
      'it: the first line is the value, a NUL in it is a line break, an empty file removes the variable, hidden ' +
      'files are ignored. It overrides `env-file`, and has the same rules otherwise. Relative to `chdir`.',
    example: 'envdir = /etc/daimyo/shop.envdir',
    setting: 'environmentFiles',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
