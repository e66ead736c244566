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
      'The words behind the entry file in `process.argv`, as behind `node FILE`: `app = ' +
      'node_modules/next/dist/bin/next` with `args = start`. `ps` does not show them, but `daimyo check` does: ' +
      'secrets belong in an `env-file`.',
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
      'For an application that listens with several servers: the port or path, as its own code writes it, of the ' +
      'HTTP or HTTPS server that is the site. The other servers listen where they ask to. The application also ' +
      'finds this value in PORT. Unless set, the site is the server that listens on PORT, which daimyo sets to the ' +
      'first port of `http` if nothing else sets it; without such a server it is the first one that listens. ' +
      'daimyo opens nothing here: clients come through `http`. See "What a worker finds in its environment" below.',
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
      'For an application that forks its own workers with `node:cluster`. In each worker `cluster.isPrimary` is ' +
      'false, `cluster.isWorker` is true and `cluster.worker.id` is the slot, so the application listens instead ' +
      'of forking. No process does the other work of its primary process. Without this option the forked workers ' +
      'open the application’s port themselves, past daimyo.',
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
      'Working directory of the workers. `app`, `static-map`, `check-static` and unix sockets are relative to it. ' +
      'It is relative to the folder in which daimyo was started, which is also the default.',
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
      'Environment variable of workers and commands. If its name looks like a secret, its value is never shown; an ' +
      '`env-file` is a better place for secrets.',
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
      'Each worker loads the application itself in any case. With `true` all workers start at once; with `false` ' +
      'the first one must load the application before the others start.',
    example: 'lazy-apps = true',
    setting: 'lazyApps',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
