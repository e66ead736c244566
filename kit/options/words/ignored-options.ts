/** uWSGI's options that are no options here, and what their users are told. A part of `options.ts`. Pure. */

export interface IgnoredOption {
  why: string
  /** On the command line the next word belongs to it. */
  takesValue: boolean
}

const ONE_THREAD = 'an application in Node runs on one thread; more `processes` give more cores'
const NODE_MODULES = 'Node finds modules in the `node_modules` folders above the application'
const BUILT_IN = 'everything is built in'
const WRITE_ERRORS = 'a client that goes away costs no worker anything'

/** uWSGI options that mean nothing in Node: accepted, and the reason is told. */
export const IGNORED_OPTIONS: Readonly<Record<string, IgnoredOption>> = {
  'enable-threads': { takesValue: false, why: ONE_THREAD },
  threads: { takesValue: true, why: ONE_THREAD },
  'single-interpreter': { takesValue: false, why: 'each worker is a Node process of its own' },
  'thunder-lock': { takesValue: false, why: 'workers do not accept connections, so there is nothing to lock' },
  virtualenv: { takesValue: true, why: NODE_MODULES },
  'static-cache-paths': {
    takesValue: true,
    why: 'the proxies always cache what they know of the disk, for less than a second',
  },
  venv: { takesValue: true, why: NODE_MODULES },
  home: { takesValue: true, why: NODE_MODULES },
  pythonpath: { takesValue: true, why: NODE_MODULES },
  'python-path': { takesValue: true, why: NODE_MODULES },
  plugins: { takesValue: true, why: BUILT_IN },
  plugin: { takesValue: true, why: BUILT_IN },
  callable: { takesValue: true, why: 'daimyo finds the server or the handler of the application by itself' },
  'auto-procname': { takesValue: false, why: 'each process has a name that says what it is' },
  'need-app': { takesValue: false, why: 'a worker never serves before it has loaded the application' },
  'no-orphans': {
    takesValue: false,
    why: 'children always end when the master dies; a child that SIGSTOP has stopped ends when it continues',
  },
  'http-websockets': { takesValue: false, why: 'WebSockets always pass' },
  'http-auto-chunked': { takesValue: false, why: 'responses without a length are always chunked' },
  'http-chunked-input': { takesValue: false, why: 'chunked requests are always read' },
  'so-keepalive': { takesValue: false, why: 'every wait for a client has a deadline, and WebSockets are probed' },
  'tcp-nodelay': { takesValue: false, why: 'connections of clients always have it' },
  'close-on-exec': { takesValue: false, why: 'children inherit no socket that they do not need' },
  'offload-threads': { takesValue: true, why: 'files are sent by the proxies, no worker waits for them' },
  'ignore-sigpipe': { takesValue: false, why: WRITE_ERRORS },
  'ignore-write-errors': { takesValue: false, why: WRITE_ERRORS },
  'disable-write-exception': { takesValue: false, why: WRITE_ERRORS },
  'harakiri-verbose': { takesValue: false, why: 'harakiri always names the request and the place of the blocked loop' },
  'log-x-forwarded-for': { takesValue: false, why: 'the log has the client that `trusted-proxies` name' },
  'log-master': { takesValue: false, why: 'the master always writes the log' },
  'threaded-logger': { takesValue: false, why: 'writing the log never blocks a request' },
  strict: { takesValue: false, why: 'an unknown option is always a mistake' },
}

/** uWSGI options that cannot be taken over silently, all with a value: a mistake that says what to use instead. */
export const REFUSED_OPTIONS: Readonly<Record<string, string>> = {
  socket: 'the uwsgi protocol is not spoken: use `http = ADDRESS`, no other server is needed in front',
  'uwsgi-socket': 'the uwsgi protocol is not spoken: use `http = ADDRESS`, no other server is needed in front',
  protocol: 'clients are served HTTP only: use `http = ADDRESS`',
  'fastcgi-socket': 'FastCGI is not spoken: use `http = ADDRESS`',
  'scgi-socket': 'SCGI is not spoken: use `http = ADDRESS`',
  https: 'this version does not serve TLS: use `http = ADDRESS` behind a server that does',
  'https-socket': 'this version does not serve TLS: use `http = ADDRESS` behind a server that does',
  daemonize: 'use `daimyo start` and `logto`, or systemd',
  stats: 'use `metrics = ADDRESS` or `daimyo status`',
  wsgi: 'use `app = FILE`',
  procname: 'it would hide what each process is: use `procname-prefix` or `procname-append`',
  'procname-master': 'the owner of a pidfile is known by its name: use `procname-prefix` or `procname-append`',
  inherit: 'use `include = FILE`',
  xml: 'only INI files are read: write it as INI and use `include`',
  yaml: 'only INI files are read: write it as INI and use `include`',
  json: 'only INI files are read: write it as INI and use `include`',
}
