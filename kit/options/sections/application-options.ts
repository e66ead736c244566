/**
 * The rows of the option table about the application itself. A part of `options.ts`, where a row is explained. Pure.
 */

import { appPort, words } from '../kinds/application-kinds.js'
import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { ENVIRONMENT_OPTIONS } from './environment-options.js'

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
    neededBy: ['master'],
  },
  args: {
    section: 'application',
    aliases: ['pyargv'],
    kind: words,
    default: null,
    repeatable: true,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'pyargv', pm2: 'args' },
    summary:
      'What stands behind the entry file in `process.argv`, as behind `node FILE`: `app = node_modules/next/dist/bin/next` with `args = start`. ' +
      'It is in nobody’s `ps`; secrets are better in an `env-file`, because `daimyo check` shows it.',
    example: 'args = start --keepAliveTimeout 5000',
    setting: 'args',
    neededBy: ['master', 'worker'],
  },
  'app-port': {
    section: 'application',
    kind: appPort,
    default: null,
    takesEffect: 'next-generation',
    summary:
      'The HTTP or HTTPS server of the application that listens here, by its own code, is the site; all others get what they ask for. For an application that ' +
      'listens with several. It is also what the application finds in PORT. Unless set, the site is the one that listens on PORT, which daimyo sets to the ' +
      'first port of `http` where nobody else has; else the first that listens. Nothing is ever opened here: clients come by `http`. See "What a worker finds in its ' +
      'environment" below.',
    example: 'app-port = 3000',
    setting: 'appPort',
    neededBy: ['master', 'worker'],
  },
  'cluster-worker': {
    section: 'application',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'next-generation',
    summary:
      'For an application that forks workers of its own with `node:cluster`: `cluster.isPrimary` is false and `cluster.isWorker` true in each worker, with the slot as ' +
      '`cluster.worker.id`, so that it listens where it would have forked. What its primary process does besides is done nowhere. Without it such workers open the ' +
      'application’s port themselves, past daimyo.',
    example: 'cluster-worker = true',
    setting: 'clusterWorker',
    neededBy: ['master', 'worker'],
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
    neededBy: ['master'],
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
    neededBy: ['master'],
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
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
