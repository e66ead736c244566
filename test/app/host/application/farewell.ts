/** An application that ends itself while it has answers under way: when it ends, and how. */

import { EventEmitter } from 'node:events'
import { constants } from 'node:os'
import t from 'tap'
import { type ExitDoors, holdExit } from '../../../../app/host/application/farewell.js'

const PID = 4711

/** A process whose ends are told, and whose answers are done when `finish` is called. */
function held() {
  const ends: string[] = []
  let isDone = false
  let ended = () => {}
  const end = new Promise<void>(resolve => {
    ended = resolve
  })
  const tell = (text: string) => {
    ends.push(text)
    ended()
  }
  const doors = Object.assign(new EventEmitter(), {
    pid: PID,
    exitCode: undefined,
    exit(this: ExitDoors, code?: number) {
      this._exiting = true
      this.reallyExit(code ?? Number(this.exitCode ?? 0))
    },
    reallyExit: (code?: number) => tell(`exit ${code}`),
    kill: (pid: number, signal?: string | number) => {
      tell(`kill ${pid} ${signal}`)
      return true
    },
  }) as unknown as ExitDoors & EventEmitter
  const bare = { exit: doors.exit.bind(doors) as (code: number) => void }
  const finish = () => {
    isDone = true
    return end
  }
  const flush = async () => void ends.push('flush')
  holdExit({ isDone: () => isDone, deadlineMs: Number.POSITIVE_INFINITY, flush }, doors)
  return { doors: doors as Loose & typeof doors, bare, ends, finish }
}

/** As an application calls them: what the types say of a call that does not return is not so here. */
interface Loose {
  exit(code?: number): void
  reallyExit(code?: number): void
}

const heldEnds: [string, (doors: Loose & ExitDoors) => unknown, string][] = [
  ['exit', doors => doors.exit(), 'exit 0'],
  ['exit with a code', doors => doors.exit(3), 'exit 3'],
  ['the first of two', doors => [doors.exit(3), doors.exit(4), doors.kill(PID, 'SIGKILL')], 'exit 3'],
  ['reallyExit', doors => doors.reallyExit(5), 'exit 5'],
  ['SIGTERM', doors => doors.kill(PID, 'SIGTERM'), `kill ${PID} SIGTERM`],
  ['no signal', doors => doors.kill(PID), `kill ${PID} undefined`],
  ['a number', doors => doors.kill(PID, constants.signals.SIGINT), `kill ${PID} ${constants.signals.SIGINT}`],
  ['SIGKILL', doors => doors.kill(PID, 'SIGKILL'), `kill ${PID} SIGKILL`],
  ['its group', doors => doors.kill(-PID, 'SIGHUP'), `kill ${-PID} SIGHUP`],
  ['a signal, and then an exit', doors => [doors.kill(PID, 'SIGQUIT'), doors.exit(1)], `kill ${PID} SIGQUIT`],
]
for (const [title, work, expected] of heldEnds) {
  t.test(`held: ${title}`, async t => {
    const { doors, ends, finish } = held()
    work(doors)
    t.same(ends, [])
    await finish()
    t.same(ends, ['flush', expected])
  })
}

const ownEnds: [string, (doors: Loose & ExitDoors, bare: { exit(code: number): void }) => unknown, string[]][] = [
  ['Node’s own exit', (_doors, bare) => bare.exit(0), ['exit 0']],
  ['a signal for another process', doors => doors.kill(PID + 1, 'SIGTERM'), [`kill ${PID + 1} SIGTERM`]],
  ['the question whether it lives', doors => doors.kill(PID, 0), [`kill ${PID} 0`]],
  ['a signal that ends nothing', doors => doors.kill(PID, 'SIGWINCH'), [`kill ${PID} SIGWINCH`]],
  [
    'a signal that it listens for',
    doors => [(doors as unknown as EventEmitter).on('SIGTERM', () => {}), doors.kill(PID, 'SIGTERM')],
    [`kill ${PID} SIGTERM`],
  ],
  ...(['uncaughtException', 'unhandledRejection'] as const).map((name): (typeof ownEnds)[number] => [
    `an exit within a handler of ${name}`,
    doors => [(doors as unknown as EventEmitter).on(name, () => doors.exit(1)), doors.emit(name, new Error('broken'))],
    ['exit 1'],
  ]),
  [
    'an exit behind one, and one that was held before',
    doors => [
      (doors as unknown as EventEmitter).on('uncaughtException', () => doors.exit(1)),
      doors.exit(0),
      doors.emit('uncaughtException', new Error('of code behind the exit')),
    ],
    [],
  ],
]
for (const [title, work, expected] of ownEnds) {
  t.test(`not held: ${title}`, async t => {
    const { doors, bare, ends, finish } = held()
    work(doors, bare)
    t.same(ends, expected)
    // Or what is held would be waited for.
    void finish()
  })
}

t.test('whoever listens behind the signal that ends it does not keep it', async t => {
  const { doors, ends, finish } = held()
  doors.kill(PID, 'SIGTERM')
  ;(doors as unknown as EventEmitter).on('SIGTERM', () => {})
  await finish()
  t.same(ends, ['flush', `kill ${PID} SIGTERM`])
  t.equal(doors.listenerCount('SIGTERM'), 0)
})

t.test('an exit at exit has the last word', async t => {
  const { doors, ends, finish } = held()
  doors.exit(0)
  await finish()
  doors.exit(7)
  t.same(ends, ['flush', 'exit 0', 'exit 7'])
})
