/**
 * Loads the user's application into this process, as `node <path>` would, and finds the HTTP server that it means. Runs
 * once; before it, `take-over.ts` has made sure that the first server to listen listens on our socket.
 *
 * The application runs once and unmodified: a CommonJS file is the main module (`require.main === module`),
 * `process.argv[1]` is its path, its errors keep their own stack. It may listen itself, at once or later, or export a
 * server, a listener or a `fetch` function.
 */

import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, Server } from 'node:http'
import Module from 'node:module'
import { dirname, extname, join } from 'node:path'
import { setImmediate } from 'node:timers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { types } from 'node:util'
import { compileFunction } from 'node:vm'
import { codeOf, EXIT, Failure } from '../../../kit/ground/failure.js'
import type { Taken } from '../listen/take-over.js'
import type { Fetch } from './fetch-listener.js'
import type { Hold } from './master-channel.js'
import { addSyntaxErrorPlace } from './syntax-error-place.js'

/** What an application may export instead of listening. */
type Servable =
  | { kind: 'listener'; listener: RequestListener }
  | { kind: 'fetch'; fetch: Fetch }
  | { kind: 'server'; server: Server }

const ACCEPTED =
  'accepted is an http.Server that listens, or an export (module.exports or default) of a request listener, ' +
  'an object with a fetch function, an http.Server or a Promise of one of these'

export interface ApplicationSpec {
  /** Its entry file. */
  path: string
  /** The arguments behind it in `process.argv`. */
  args?: readonly string[]
}

/**
 * The application's server, listening. Rejects with the error of the application while it loads, and with a Failure
 * when nothing is left in this process that could still make it listen. A slow application is waited for: deadlines are
 * the master's. The channel to the master does not keep the process alive meanwhile.
 */
export async function loadApplication(spec: ApplicationSpec, taken: Taken, channel: Hold): Promise<Server> {
  const { path, args = [] } = spec
  process.argv.splice(1, process.argv.length, path, ...args)
  let exported = 'it has not finished loading'
  let found = false
  const idle = whenIdle(channel, () => (taken.settle() ? null : unusable(path, exported, taken)))

  async function serve(): Promise<Server> {
    const value = await evaluate(path)
    exported = `it exports ${describeExport(value)}`
    const servable = await findServable(value)
    // A `listen` in a promise that is settled already comes before the export.
    await nextTurn()
    if (servable !== null && !taken.isAsked) await listen(servable, taken)
    taken.loaded()
    return taken.server
  }

  const served = serve().catch(error => {
    if (!found) throw error
    // It listened and went on loading: it dies of the error, as it does on bare Node.
    setImmediate(() => {
      throw error
    })
    return taken.server
  })
  try {
    return await Promise.race([taken.server, served, idle.promise])
  } finally {
    found = true
    idle.stop()
  }
}

/**
 * Runs the application's file: the value of `module.exports`, of its Promise if it is one, or the namespace of an ES
 * module.
 */
async function evaluate(path: string): Promise<unknown> {
  if (isModule(path)) {
    return import(pathToFileURL(path).href).catch(error => {
      if (types.isNativeError(error)) addSyntaxErrorPlace(error, path)
      throw error
    })
  }
  // What `node <path>` does, and PM2: there is no public way to load a second main module.
  const { _load } = Module as unknown as { _load(path: string, parent: null, isMain: boolean): unknown }
  return _load(path, null, true)
}

/**
 * Whether `path` is to be loaded as an ES module, as Node decides it: by the extension, the nearest package.json, the
 * syntax. It is decided before anything runs, because a file that fails with ERR_REQUIRE_ASYNC_MODULE may have run in
 * part.
 */
export function isModule(path: string): boolean {
  switch (extname(path)) {
    case '.mjs':
    case '.mts':
      return true
    case '.js':
    case '.ts':
    case '': {
      const type = packageType(dirname(path))
      return type === 'none' ? !compilesAsCommonJs(path) : type === 'module'
    }
    default:
      return false
  }
}

type PackageType = 'module' | 'commonjs' | 'none'

function packageType(folder: string): PackageType {
  try {
    const { type } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return type === 'module' || type === 'commonjs' ? type : 'none'
  } catch (error) {
    // Node reports a package.json that is not JSON, better than this could.
    if (error instanceof SyntaxError) return 'none'
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') throw error
  }
  return dirname(folder) === folder ? 'none' : packageType(dirname(folder))
}

/** `import` and `export` declarations and top-level `await` are syntax errors in a CommonJS function. */
function compilesAsCommonJs(path: string): boolean {
  try {
    compileFunction(readFileSync(path, 'utf8'), ['exports', 'require', 'module', '__filename', '__dirname'])
    return true
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return false
  }
}

/**
 * The servable part of an export: itself, its `default`, or the `default` of that, which is what an ES module sees of a
 * CommonJS module that was compiled from an ES module. Promises on the way are waited for.
 */
async function findServable(exported: unknown): Promise<Servable | null> {
  let candidate = exported
  for (let depth = 0; depth < 3; depth++) {
    const servable = servableOf(candidate)
    if (servable !== null) return servable
    candidate = await defaultOf(candidate)
  }
  return null
}

function servableOf(value: unknown): Servable | null {
  if (value instanceof Server) return { kind: 'server', server: value }
  if (isObject(value) && 'fetch' in value && typeof value.fetch === 'function') {
    return { kind: 'fetch', fetch: value.fetch.bind(value) as Fetch }
  }
  if (typeof value === 'function' && !isClass(value)) return { kind: 'listener', listener: value as RequestListener }
  return null
}

function defaultOf(value: unknown): unknown {
  return isObject(value) && 'default' in value ? value.default : undefined
}

/** On our socket; `taken.server` has the result. */
async function listen(servable: Servable, taken: Taken): Promise<void> {
  switch (servable.kind) {
    case 'server':
      return taken.listen(servable.server)
    case 'listener':
      return taken.listen(createServer(servable.listener))
    case 'fetch': {
      const { fetchListener } = await import('./fetch-listener.js')
      taken.listen(createServer(fetchListener(servable.fetch)))
    }
  }
}

/**
 * Rejects when the event loop has run dry, unless `failure` returns null: then there is a server, which goes on. The
 * channel to the master, which is ours and never ends, is not counted until `stop`; it is counted again before the
 * process could end. An application is not told that the loop is dry (`beforeExit`): on bare Node its server would have
 * kept the loop running.
 */
function whenIdle(channel: Hold, failure: () => Failure | null): { promise: Promise<never>; stop: () => void } {
  const { emit } = process
  let isFinished = false
  let reject: (reason: Failure) => void = () => {}
  const promise = new Promise<never>((_resolve, refuse) => {
    reject = refuse
  })
  const watched = function (this: unknown, event: string, ...args: unknown[]): boolean {
    if (isFinished || event !== 'beforeExit') return Reflect.apply(emit, this, [event, ...args])
    channel.ref()
    const reason = failure()
    if (reason !== null) reject(reason)
    return true
  }
  const stop = () => {
    isFinished = true
    channel.ref()
    // A replacement of the application's own may be in its place.
    if (process.emit === watched) Reflect.deleteProperty(process, 'emit')
  }
  Object.assign(process, { emit: watched })
  channel.unref()
  return { promise, stop }
}

function unusable(path: string, exported: string, { others }: Taken): Failure {
  const heard = others.length === 0 ? '' : `; it listens with ${others.join(', ')}`
  const message = `application not loaded: ${path}: ${exported}, and nothing in it can listen any more${heard}; ${ACCEPTED}`
  return new Failure('application-unusable', message, EXIT.unavailable)
}

/** An export in words, for an operator who has to find out why it cannot be served. */
export function describeExport(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  if (typeof value === 'function') return `${isClass(value) ? 'class' : 'function'} ${value.name || 'without a name'}`
  if (!isObject(value)) return `a ${typeof value}`
  if (types.isPromise(value)) return 'a Promise of nothing that can be served'
  const names = Object.keys(value)
  if (types.isModuleNamespaceObject(value)) {
    return 'default' in value ? describeExport(value.default) : describeNames('a module', names)
  }
  return describeNames(Array.isArray(value) ? 'an array' : 'an object', names)
}

function describeNames(kind: string, names: string[]): string {
  if (names.length === 0) return 'nothing'
  return `${kind} with ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/** A class is a function that cannot be called: served as a listener it would fail at each request. */
function isClass(value: unknown): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value))
}
