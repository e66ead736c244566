/**
 * Checks that need all values at hand, or a look at the file system: an application that is not there, no listener at
 * all, two options that contradict each other. Pure but for the files it asks about.
 */

import { dirname } from 'node:path'
import type { OptionName } from '../../kit/options/options.js'
import type { OptionValues } from '../../kit/options/settings.js'
import { isPrivateAddress, overlaps, printListenAddress } from '../../kit/options/values/listen-address.js'
import type { ListenAddress } from '../../kit/options/values/value-types.js'
import { checkScaling, remarkScaling } from './check-scaling.js'
import type { ConfigFiles, FileKind } from './ini/config-files.js'
import type { ReadValues } from './option-values.js'
import type { Finding } from './values/settings.js'

export interface CheckFacts extends ReadValues {
  files: ConfigFiles
  /** The place of a finding that belongs to no line: the INI, or the command line. */
  place: string
  /** The files were read whole, so that a missing option is really missing. */
  isComplete: boolean
  runDir: string
  uid: number
  /** systemd will have made the service's folders. */
  forUnits: boolean
}

type Report = (name: OptionName, index: number, message: string) => void

/** All mistakes and remarks about the values together. */
export function checkValues(facts: CheckFacts): { mistakes: Finding[]; remarks: Finding[] } {
  const mistakes: Finding[] = []
  const remarks: Finding[] = []
  const reportTo =
    (findings: Finding[]): Report =>
    (name, index, message) => {
      findings.push({ place: facts.places.get(name)?.[index] ?? facts.place, message: `${name}: ${message}` })
    }
  const refuse = reportTo(mistakes)
  const remark = reportTo(remarks)
  checkPresence(facts, refuse)
  checkListeners(facts, refuse)
  checkUpstreams(facts.values, refuse)
  checkPaths(facts, refuse)
  checkNames(facts.values, refuse)
  checkScaling(facts.values, refuse)
  remarkNeedless(facts, remark)
  remarkDangers(facts, remark)
  remarkScaling(facts, remark)
  return { mistakes, remarks }
}

function checkPresence({ values, given, isComplete }: CheckFacts, refuse: Report): void {
  if (!isComplete) return
  if (!given.has('http'))
    refuse('http', 0, 'no listener: received none: accepted at least one, such as `http = 127.0.0.1:8080`')
  const serves: OptionName[] = ['app', 'static-map', 'static-map2', 'check-static', 'http-to']
  if (!serves.some(name => given.has(name))) {
    refuse(
      'app',
      0,
      'nothing to serve: received neither `app` nor `static-map` nor `check-static` nor `http-to`: accepted at least one',
    )
  }
  if (values['metrics-path'] === '/')
    refuse('metrics-path', 0, 'received /: accepted a path below it, such as `/metrics`')
}

function checkListeners({ values, places, place }: CheckFacts, refuse: Report): void {
  const { http, metrics } = values
  const lineOf = (index: number): string => `\`http = ${print(http[index])}\` (${places.get('http')?.[index] ?? place})`
  for (const [index, address] of http.entries()) {
    const other = http.slice(0, index).findIndex(each => overlaps(each, address))
    if (other < 0) continue
    const isSame = print(address) === print(http[other])
    const why = isSame ? ' twice: accepted once' : `, which ${lineOf(other)} takes too: accepted one of the two`
    refuse('http', index, `received ${print(address)}${why}`)
  }
  if (metrics === null) return
  const other = http.findIndex(each => overlaps(each, metrics) || isBesideAllOfMetrics(each, metrics))
  if (other < 0) return
  const has = print(http[other]) === print(metrics) ? 'which `http` has' : `which ${lineOf(other)} takes too`
  refuse('metrics', 0, `received ${print(metrics)}, ${has}: accepted an address of its own, or \`metrics-path\``)
}

function print(address: ListenAddress | undefined): string {
  return address === undefined ? '' : printListenAddress(address)
}

/** `[::]` of the metrics is IPv4 too. */
function isBesideAllOfMetrics(address: ListenAddress, metrics: ListenAddress): boolean {
  return (
    address.kind === 'tcp' &&
    metrics.kind === 'tcp' &&
    metrics.host === '::' &&
    metrics.port === address.port &&
    metrics.port !== 0
  )
}

/** Each mount has one destination. */
function checkUpstreams({ app, mount, 'http-to': groups }: OptionValues, refuse: Report): void {
  const seen = new Set<string>()
  for (const [index, group] of groups.entries()) {
    if (seen.has(group.mount))
      refuse('http-to', index, `received ${group.mount} twice: accepted one line with all its URLs`)
    else if (app !== null && mount.includes(group.mount)) {
      refuse(
        'http-to',
        index,
        `received ${group.mount}, which \`mount\` gives to the application: accepted another path`,
      )
    }
    seen.add(group.mount)
  }
}

function checkNames(values: OptionValues, refuse: Report): void {
  if (values['procname-prefix'] !== null && values['procname-prefix-spaced'] !== null)
    refuse('procname-prefix-spaced', 0, 'received besides `procname-prefix`: accepted one of the two')
}

function checkPaths(facts: CheckFacts, refuse: Report): void {
  const { values, files } = facts
  const demand = (name: OptionName, index: number, path: string | null, wanted: 'file' | 'folder'): void => {
    const why = path === null ? null : whyNot(files.kindOf(path), wanted)
    if (why !== null)
      refuse(name, index, `${why}: received ${path}: accepted an existing ${wanted}${hintFor(name, path)}`)
  }
  demand('app', 0, values.app, 'file')
  demand('chdir', 0, values.chdir, 'folder')
  demand('leak-autopsy', 0, values['leak-autopsy'], 'folder')
  for (const name of ['static-map', 'static-map2', 'internal'] as const) {
    for (const [index, { folder }] of values[name].entries()) demand(name, index, folder, 'folder')
  }
  for (const name of ['check-static', 'static-safe', 'x-sendfile-root'] as const) {
    for (const [index, folder] of values[name].entries()) demand(name, index, folder, 'folder')
  }
  for (const name of ['pidfile', 'logto'] as const) checkNewFile(facts, name, 0, values[name], refuse)
  for (const [index, address] of values.http.entries()) {
    if (address.kind === 'unix') checkNewFile(facts, 'http', index, address.path, refuse)
  }
  if (values.metrics?.kind === 'unix') checkNewFile(facts, 'metrics', 0, values.metrics.path, refuse)
}

function whyNot(kind: FileKind, wanted: 'file' | 'folder'): string | null {
  if (kind === wanted) return null
  if (kind === 'missing') return `no such ${wanted}`
  return kind === 'unreadable' ? 'no permission to look' : `not a ${wanted}`
}

function hintFor(name: OptionName, path: string | null): string {
  const isPython = name === 'app' && /\.py$|:\w+$|\.wsgi$/.test(path ?? '')
  return isPython ? ': a Node application, not a Python one' : ''
}

/** A file or socket that is made later needs its folder now. The master makes the run folder itself. */
function checkNewFile(
  { files, runDir, forUnits }: CheckFacts,
  name: OptionName,
  index: number,
  path: string | null,
  refuse: Report,
): void {
  if (path === null || dirname(path) === runDir) return
  if (files.kindOf(path) === 'folder')
    return refuse(name, index, `it is a folder: received ${path}: accepted the path of a file`)
  const kind = files.kindOf(dirname(path))
  const why = whyNot(kind, 'folder')
  const isOfService = kind === 'missing' && name === 'logto' && /^\/var\/log\/[^/]/.test(dirname(path))
  if (isOfService && forUnits) return
  const remedy = isOfService ? ', or a unit of `daimyo systemd`, which makes it' : ''
  if (why !== null)
    refuse(name, index, `${why} to hold it: received ${path}: accepted a path in an existing folder${remedy}`)
}

/** Options that only matter with an application. */
const OF_APPLICATION = ['mount', 'args', 'app-port', 'cluster-worker', 'wait-ready', 'ready-check'] as const

/** Variables that daimyo sets for each worker (`spawn-environment.ts`). */
const OWN_VARIABLES: ReadonlySet<string> = new Set(['DAIMYO_SLOT', 'DAIMYO_GENERATION'])

function remarkNeedless({ values, places }: CheckFacts, remark: Report): void {
  for (const name of OF_APPLICATION) {
    if (values.app === null && places.has(name)) remark(name, 0, 'counts for nothing without `app`')
  }
  for (const [index, { name }] of values.env.entries()) {
    if (OWN_VARIABLES.has(name)) remark('env', index, `${name} changes nothing: daimyo sets it in each worker`)
  }
  if (!values.master) remark('master', 0, 'false changes nothing: there is always a master')
  if (values['http-auto-zstd'] && !('createZstdCompress' in process.getBuiltinModule('node:zlib')))
    remark('http-auto-zstd', 0, `changes nothing: Node ${process.version} has no zstd`)
  if (!values.http.some(({ kind }) => kind === 'unix')) {
    for (const name of ['chmod-socket', 'chown-socket'] as const) {
      if (values[name] !== null) remark(name, 0, 'counts for nothing without a unix socket in `http`')
    }
  }
  if (values['http-enable-proxy-protocol'] && values['trusted-proxies'].length === 0)
    remark('http-enable-proxy-protocol', 0, 'counts for nothing without `trusted-proxies`')
  if (!values['die-on-term']) remark('die-on-term', 0, 'false changes nothing: SIGTERM stops, SIGHUP reloads')
}

function remarkDangers({ values, uid }: CheckFacts, remark: Report): void {
  const isOpen = (address: ListenAddress): boolean => !isPrivateAddress(address)
  if (values['leak-autopsy'] !== null && values['reload-on-rss'] === 0)
    remark('leak-autopsy', 0, 'counts for nothing without `reload-on-rss`')
  if (values['metrics-auth'] === null) {
    if (values.metrics !== null && isOpen(values.metrics)) {
      remark('metrics', 0, 'everybody who reaches this address reads the metrics: `metrics-auth` asks for a password')
    }
    if (values['metrics-path'] !== null && values.http.some(isOpen)) {
      remark('metrics-path', 0, 'every client reads the metrics: `metrics-auth` asks for a password')
    }
  }
  if (uid !== 0) {
    for (const name of ['uid', 'gid'] as const) {
      if (values[name] !== null) remark(name, 0, 'changes nothing: daimyo was not started as root')
    }
  } else if (values.uid === null) remark('uid', 0, 'not set: the application and the proxies run as root')
}
