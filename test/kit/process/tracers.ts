/** Who is killed for tracing what was killed: `kit/process/tracers.ts`. */

import t from 'tap'
import type { Credentials } from '../../../kit/channel/messages.js'
import { describeStay, endTracers, isDeadTracee, type TracedSystem } from '../../../kit/process/tracers.js'
import { nameThisProcess } from '../fixtures/own-name.js'

const MASTER = 100
const WORKER = 200
const SERVICE_UID = 33
const credentials = { uid: SERVICE_UID, gid: 33 } as Credentials

const status = (pid: number, uids: string, tracer = 0, tgid = pid) =>
  `Name:\tgdb ${tgid}\nUmask:\t0022\nState:\tZ (zombie)\nTgid:\t${tgid}\nPid:\t${pid}\nPPid:\t1\nTracerPid:\t${tracer}\nUid:\t${uids}\nGid:\t0\t0\t0\t0\n`
const SERVICE = '33\t33\t33\t33'

interface Facts {
  /** Of each thread of the worker, and of the master. */
  tracers: number[]
  masterTracer?: number
  /** By pid or thread. */
  others?: Record<number, string>
  ownUid?: number
  credentials?: Credentials | null
  failure?: string
  /** By pid; the others are in the master's. */
  namespaces?: Record<number, string | null>
}

function ended(facts: Facts) {
  const { tracers, others = {}, ownUid = 0, failure } = facts
  const killed: number[] = []
  const system: TracedSystem = {
    ownPid: MASTER,
    ownUid,
    status: pid => others[pid] ?? null,
    threads: pid =>
      pid === MASTER
        ? [status(MASTER, '0\t0\t0\t0', facts.masterTracer)]
        : tracers.map(tracer => status(pid, SERVICE, tracer)),
    userNamespace: pid =>
      facts.namespaces !== undefined && pid in facts.namespaces ? facts.namespaces[pid]! : 'user:[1]',
    waitsIn: () => '',
    kill: pid => {
      if (failure !== undefined) throw Object.assign(new Error(failure), { code: failure })
      killed.push(pid)
    },
  }
  const told = endTracers(WORKER, facts.credentials === undefined ? credentials : facts.credentials, system)
  return { told: told.map(({ pid }) => pid), killed, names: told.map(({ name }) => name) }
}

const cases: [title: string, facts: Facts, expected: number[]][] = [
  ['nobody', { tracers: [0, 0, 0] }, []],
  ['a process that is gone', { tracers: [] }, []],
  ['the service’s user', { tracers: [300], others: { 300: status(300, SERVICE) } }, [300]],
  ['one of another thread only', { tracers: [0, 0, 300, 0], others: { 300: status(300, SERVICE) } }, [300]],
  ['one of all threads', { tracers: [300, 300, 300], others: { 300: status(300, SERVICE) } }, [300]],
  [
    'by a thread of its own',
    { tracers: [301], others: { 301: status(301, SERVICE, 0, 300), 300: status(300, SERVICE) } },
    [300],
  ],
  ['two', { tracers: [300, 301], others: { 300: status(300, SERVICE), 301: status(301, SERVICE) } }, [300, 301]],
  ['root', { tracers: [300], others: { 300: status(300, '0\t0\t0\t0') } }, []],
  ['another user', { tracers: [300], others: { 300: status(300, '34\t34\t34\t34') } }, []],
  ['root by the service’s user (sudo)', { tracers: [300], others: { 300: status(300, '33\t0\t0\t0') } }, [300]],
  ['the service’s user by root', { tracers: [300], others: { 300: status(300, '0\t33\t33\t33') } }, []],
  [
    'a subordinate id of the service’s user, in a user namespace',
    { tracers: [300], others: { 300: status(300, '100000\t100000\t100000\t100000') }, namespaces: { 300: 'user:[2]' } },
    [300],
  ],
  [
    'one whose user namespace is not told',
    { tracers: [300], others: { 300: status(300, '34\t34\t34\t34') }, namespaces: { 300: null } },
    [],
  ],
  [
    'one beside a master that cannot tell its own',
    { tracers: [300], others: { 300: status(300, '34\t34\t34\t34') }, namespaces: { 300: 'user:[2]', [MASTER]: null } },
    [],
  ],
  [
    'root in another user namespace',
    { tracers: [300], others: { 300: status(300, '0\t0\t0\t0') }, namespaces: { 300: 'user:[2]' } },
    [],
  ],
  ['pid 1', { tracers: [1], others: { 1: status(1, SERVICE) } }, []],
  ['the master', { tracers: [MASTER], others: { [MASTER]: status(MASTER, SERVICE) } }, []],
  ['whoever traces the master too', { tracers: [300], masterTracer: 300, others: { 300: status(300, SERVICE) } }, []],
  ['one that has ended meanwhile', { tracers: [300] }, []],
  ['one whose user is not told', { tracers: [300], others: { 300: 'Name:\tgdb 300\nTgid:\t300\n' } }, []],
  ['one that may not be killed', { tracers: [300], others: { 300: status(300, SERVICE) }, failure: 'EPERM' }, []],
  ['one that ends just now', { tracers: [300], others: { 300: status(300, SERVICE) }, failure: 'ESRCH' }, []],
  [
    'the user of a master without uid',
    { tracers: [300], others: { 300: status(300, '7\t7\t7\t7') }, ownUid: 7, credentials: null },
    [300],
  ],
  [
    'root beside such a master',
    { tracers: [300], others: { 300: status(300, '0\t0\t0\t0') }, ownUid: 7, credentials: null },
    [],
  ],
]
for (const [title, facts, expected] of cases) {
  t.test(`traced by ${title}`, async t => {
    const { told, killed, names } = ended(facts)
    t.same(told, expected)
    t.same(killed, expected)
    t.same(
      names,
      expected.map(pid => `gdb ${pid}`),
    )
  })
}

const forged: [title: string, worker: string, tracer: string, uids: string, expected: number[]][] = [
  ['the worker names another user’s process', '\rTracerPid:421', 'gdb 300', SERVICE, [300]],
  ['the tracer says that it is root', 'node', '\rUid:0', SERVICE, [300]],
  ['another user’s tracer says that it is the service’s user', 'node', '\u2028Uid:33', '34\t34\t34\t34', []],
  ['the tracer says that it is another process', 'node', '\rTgid:421', SERVICE, [300]],
]
for (const [title, worker, tracer, uids, expected] of forged) {
  t.test(`no name is believed: ${title}`, async t => {
    const named = (text: string, name: string) => text.replace(/^Name:.*\n/, `Name:\t${name}\n`)
    const killed: number[] = []
    const system: TracedSystem = {
      ownPid: MASTER,
      ownUid: 0,
      status: pid => ({ 300: named(status(300, uids), tracer), 421: status(421, SERVICE) })[pid] ?? null,
      threads: pid => (pid === WORKER ? [named(status(WORKER, SERVICE, 300), worker)] : []),
      userNamespace: () => 'user:[1]',
      waitsIn: () => '',
      kill: pid => void killed.push(pid),
    }
    endTracers(WORKER, credentials, system)
    t.same(killed, expected)
  })
}

t.test('of a process that nobody traces, as the system tells it', async t => {
  t.same(endTracers(process.pid, null), [])
  if (process.platform === 'linux') nameThisProcess(t, '\rTracerPid:1')
  t.match(describeStay(process.pid), /^it waits in the kernel/, 'whatever its name is')
  t.same(endTracers(2 ** 22 + 1, null), [], 'of none')
})

t.test('what made the master its tracer is dead when all its threads are, and never reaped', async t => {
  const thread = (state: string, tracer: number) =>
    status(WORKER, SERVICE, tracer).replace('State:\tZ', `State:\t${state}`)
  const cases: [title: string, threads: string[], expected: boolean][] = [
    ['one of its threads', [thread('Z', 0), thread('Z', MASTER)], true],
    ['one that still runs', [thread('Z', 0), thread('R', MASTER)], false],
    ['one that is stopped', [thread('t', MASTER)], false],
    ['traced by another', [thread('Z', 300)], false],
    ['by nobody', [thread('Z', 0)], false],
    ['gone', [], false],
  ]
  for (const [title, threads, expected] of cases) {
    const others: Record<number, string> = { [MASTER]: status(MASTER, '0\t0\t0\t0'), 300: status(300, SERVICE) }
    const system: TracedSystem = {
      ownPid: MASTER,
      ownUid: 0,
      status: pid => others[pid] ?? null,
      threads: () => threads,
      userNamespace: () => null,
      waitsIn: () => '',
      kill: () => {},
    }
    t.equal(isDeadTracee(WORKER, system), expected, title)
  }
})

t.test('why one that was killed is there still', async t => {
  const system = (tracer: number, waitsIn: string): TracedSystem => ({
    ownPid: MASTER,
    ownUid: 0,
    status: pid => ({ 300: status(300, SERVICE) })[pid] ?? null,
    threads: () => [status(WORKER, SERVICE, tracer)],
    userNamespace: () => null,
    waitsIn: () => waitsIn,
    kill: () => {},
  })
  t.equal(describeStay(WORKER, system(300, 'do_exit')), 'it is traced by gdb 300:300')
  t.equal(describeStay(WORKER, system(0, 'rpc_wait_bit_killable')), 'it waits in the kernel (rpc_wait_bit_killable)')
  t.equal(describeStay(WORKER, system(0, '')), 'it waits in the kernel')
  t.match(describeStay(process.pid), /^it waits in the kernel/, 'as the system tells it')
})
