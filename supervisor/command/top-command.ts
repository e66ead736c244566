/**
 * `daimyo top [INI]`: the running master on a screen of its own, once a second, until `q`, Ctrl-C or the end of the
 * input. Must stay true: however it ends, the terminal is as it was before. If the output is no terminal, or a dumb
 * one, one picture is printed.
 */

import type { ReadStream, WriteStream } from 'node:tty'
import { EXIT, Failure } from '../../kit/ground/failure.js'
import { ANSWER_MS, askMaster } from '../control/control-client.js'
import type { TopReport } from '../control/control-protocol.js'
import type { HeldSocket } from '../control/held-socket.js'
import { drawTop } from '../screen/top-screen.js'
import { type TimedReport, topView } from '../screen/top-view.js'
import type { CommandContext } from './command-context.js'
import { locateMaster, type MasterSought } from './locate-master.js'

const EVERY_MS = 1000
/** The size if the output does not tell its own. */
const PLAIN = { columns: 200, rows: 100 }

const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'

/** The terminal, or a stand-in of a test. */
export interface Terminal {
  input: Pick<ReadStream, 'isTTY' | 'on' | 'off' | 'resume' | 'pause'> & { setRawMode?: (raw: boolean) => unknown }
  output: Pick<WriteStream, 'isTTY' | 'columns' | 'rows' | 'write' | 'on' | 'off'>
}

/** Failures as `locateMaster`; a master that goes away meanwhile ends it with its Failure (69). */
export async function topCommand(sought: MasterSought, context: CommandContext, terminal: Terminal): Promise<number> {
  const { socket } = await locateMaster(sought, context.environment)
  const look = async (): Promise<TimedReport> => ({
    report: await askTop(socket),
    atMs: performance.now(),
  })
  const { input, output } = terminal
  if (!output.isTTY || !input.isTTY || (context.environment.TERM ?? 'dumb') === 'dumb') {
    context.print(`${drawTop(topView(null, await look()), PLAIN, Date.now()).join('\n')}\n`)
    return EXIT.ok
  }
  await new Screen(terminal, look).run()
  return EXIT.ok
}

async function askTop(socket: HeldSocket): Promise<TopReport> {
  const done = await askMaster(socket, { command: 'top' }, { withinMs: ANSWER_MS })
  if (done.ok && done.top !== undefined) return done.top
  throw new Failure(
    'no-answer',
    `cannot read the figures: ${socket.path}: ${done.ok ? 'none given' : done.reason}`,
    EXIT.unavailable,
  )
}

/** The screen from the first picture to the last. */
class Screen {
  readonly #terminal: Terminal
  readonly #look: () => Promise<TimedReport>
  #before: TimedReport | null = null
  #now: TimedReport | null = null
  #timer: NodeJS.Timeout | undefined
  #finish: (error?: unknown) => void = () => {}

  constructor(terminal: Terminal, look: () => Promise<TimedReport>) {
    this.#terminal = terminal
    this.#look = look
  }

  async run(): Promise<void> {
    const { input, output } = this.#terminal
    const ended = new Promise<void>((resolve, reject) => {
      this.#finish = error => (error === undefined ? resolve() : reject(error))
    })
    const quit = () => this.#finish()
    const draw = () => this.#draw()
    const onKey = (keys: Buffer) => {
      // In raw mode Ctrl-C and Ctrl-D are keys.
      if (/[qQ\x03\x04]/.test(keys.toString('latin1'))) quit()
    }
    const signals = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const
    try {
      input.setRawMode?.(true)
      output.write(ENTER)
      input.on('data', onKey)
      input.on('end', quit)
      output.on('resize', draw)
      for (const signal of signals) process.on(signal, quit)
      input.resume()
      this.#refresh()
      await ended
    } finally {
      clearTimeout(this.#timer)
      this.#finish = () => {}
      for (const signal of signals) process.off(signal, quit)
      output.off('resize', draw)
      input.off('end', quit)
      input.off('data', onKey)
      input.pause()
      output.write(LEAVE)
      input.setRawMode?.(false)
    }
  }

  #refresh(): void {
    this.#look().then(
      report => {
        this.#before = this.#now
        this.#now = report
        this.#draw()
        this.#timer = setTimeout(() => this.#refresh(), EVERY_MS)
      },
      (error: unknown) => this.#finish(error),
    )
  }

  #draw(): void {
    if (this.#now === null) return
    const { columns, rows, write } = this.#terminal.output
    const lines = drawTop(topView(this.#before, this.#now), { columns: columns ?? 80, rows: rows ?? 24 }, Date.now())
    write.call(this.#terminal.output, `${HOME}${lines.map(line => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`)
  }
}
