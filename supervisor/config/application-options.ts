/** The rows of the option table about the application itself. A part of `options.ts`, where a row is explained. Pure. */

import { ENVIRONMENT_OPTIONS } from './environment-options.js'
import * as kind from './option-kinds.js'
import type { OptionRow } from './options.js'

export const APPLICATION_OPTIONS = {
  app: {
    section: 'application',
    aliases: ['module', 'wsgi-file', 'file'],
    kind: kind.path('chdir'),
    default: null,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'wsgi-file', nginx: 'proxy_pass', pm2: 'script' },
    summary:
      'Entry file of the Node application, CommonJS or ES module, unmodified. Without it only static files are ' +
      'served. Relative to `chdir`.',
    example: 'app = server.js',
    setting: 'app',
  },
  chdir: {
    section: 'application',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'chdir', pm2: 'cwd', gunicorn: 'chdir' },
    summary:
      'Working directory of the workers, and the folder from which `app`, `static-map`, `check-static` and unix' +
      ' sockets count. Relative to where daimyo was started, which is also what counts without it.',
    example: 'chdir = %d..',
    setting: 'chdir',
  },
  env: {
    section: 'application',
    kind: kind.environmentVariable,
    default: null,
    repeatable: true,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'env', nginx: 'env', pm2: 'env', gunicorn: 'raw_env' },
    summary:
      'Environment variable of workers and commands. A value whose name looks like a secret is never shown; better in an `env-file`.',
    example: 'env = NODE_ENV=production',
    setting: 'env',
  },
  ...ENVIRONMENT_OPTIONS,
  'lazy-apps': {
    section: 'application',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'lazy-apps', gunicorn: 'preload_app' },
    summary:
      'Each worker loads the application itself in any case. `true` starts all workers at once; `false` lets ' +
      'the first one prove that the application loads.',
    example: 'lazy-apps = true',
    setting: 'lazyApps',
  },
} as const satisfies Record<string, OptionRow>
