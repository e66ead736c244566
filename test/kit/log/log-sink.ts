/** Tests `kit/log/log-sink.ts` with real files, full and vanished disks, and a standard output that nobody reads. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openLogFile, openMadeLogFile } from '../../../kit/log/log-file.js'
import { hasStuckLog, LogSink, type LogSinkOptions } from '../../../kit/log/log-sink.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

/** A sink with a clock that the test moves; `complaints` are the lines on the original standard error. */
function makeSink(options: Partial<LogSinkOptions> & { path: string }) {
  const complaints: string[] = []
  const clock = { ms: 0 }
  const sink = new LogSink({ owner: null, writeError: line => complaints.push(line), now: () => clock.ms, ...options })
  const drained = () => {
    const { resolve, promise } = deferred()
    const remove = sink.onDrain(() => {
      remove()
      resolve()
    })
    return promise
  }
  return { sink, complaints, clock, drained }
}

function deferred() {
  let resolve = () => {}
  const promise = new Promise<void>(settle => {
    resolve = settle
  })
  return { resolve, promise }
}

t.test('text and bytes arrive in order, whatever they are', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const { sink, complaints } = makeSink({ path })
  sink.write('eins ü\n')
  sink.write(Buffer.from([0xff, 0xfe, 0x0a]))
  sink.write('')
  sink.write(new Uint8Array(Buffer.from('three\n')))
  await sink.close()
  t.same(
    readFileSync(path),
    Buffer.concat([Buffer.from('eins ü\n'), Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from('three\n')]),
  )
  t.same(complaints, [])
  t.equal(sink.write('after the end'), true, 'a closed sink takes and forgets')
  sink.reopen()
  t.equal(readFileSync(path, 'latin1').includes('after'), false)
})

t.test('an end waits for no disk that takes its time with fsync(2), and is not by force', async t => {
  const { fsync } = fs
  t.teardown(() => Object.assign(fs, { fsync }))
  Object.assign(fs, { fsync: () => {} })
  for (const last of ['', 'last\n']) {
    const path = join(scratchFolder(t), 'daimyo.log')
    const { sink, drained } = makeSink({ path })
    const isWritten = drained()
    sink.write('first\n')
    await isWritten
    sink.write(last)
    await sink.close()
    t.equal(readFileSync(path, 'utf8'), `first\n${last}`)
    t.equal(hasStuckLog(), false)
  }
})

t.test('a log that is behind says so, and says when it is not any more', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const { sink, drained } = makeSink({ path })
  const line = `${'x'.repeat(4095)}\n`
  let written = 0
  while (sink.write(line)) written += 1
  t.ok(written < 100, `written=${written}`)
  await drained()
  t.equal(lstatSync(path).size, (written + 1) * line.length, 'the chunk that got the false is not lost')
  t.equal(sink.write('goes on\n'), true)
  await sink.close()
})

t.test('who does not listen to that loses lines, not memory, and it is said', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const { sink, drained } = makeSink({ path, longestBytes: 100_000 })
  const line = `${'x'.repeat(999)}\n`
  for (let count = 0; count < 1000; count++) sink.write(line)
  await drained()
  await sink.close()
  const text = readFileSync(path, 'utf8')
  const lost = Number(/log-lost bytes=(\d+)/.exec(text)?.[1])
  t.equal(text.split(line).length - 1, (1_000_000 - lost) / 1000)
  t.ok(lost >= 800_000, `lost=${lost}`)
})

t.test('after a rotation it goes on in a new file', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const { sink } = makeSink({ path })
  sink.write('before\n')
  renameSync(path, `${path}.1`)
  sink.reopen()
  t.ok(existsSync(path), 'the file is there when reopen returns')
  sink.write('after\n')
  await sink.close()
  t.equal(readFileSync(path, 'utf8'), 'after\n')
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'before\n')
})

/** A log that another process makes; the test decides when, and when it may be opened. */
function changing(t: { teardown(work: () => void): unknown }, longestBytes?: number) {
  const path = join(scratchFolder(t), 'daimyo.log')
  const made = deferred()
  const state = { isQuiet: true }
  const make = async () => {
    await made.promise
    renameSync(path, `${path}.1`)
    writeFileSync(path, '')
  }
  const open = () => openMadeLogFile(path)
  const asked = deferred()
  const isQuiet = () => {
    asked.resolve()
    return state.isQuiet
  }
  const { sink } = makeSink({ path, longestBytes, reopening: { make, open, isQuiet } })
  const texts = () => [`${path}.1`, path].map(name => readFileSync(name, 'utf8'))
  return { sink, path, made, asked, state, texts }
}

t.test('lines wait for a file that another process makes, in order', async t => {
  const { sink, made, asked, state, texts } = changing(t)
  t.equal(sink.sizeBytes(), 0)
  let drains = 0
  sink.onDrain(() => drains++)
  t.equal(sink.write('before\n'), true)
  const changed = sink.changeOver()
  state.isQuiet = false
  await Promise.resolve()
  t.equal(sink.write('first\n'), false, 'whoever feeds it is to wait')
  made.resolve()
  await asked.promise
  t.equal(sink.write('second\n'), false, 'a thread is held up')
  state.isQuiet = true
  t.equal(await changed, null)
  t.equal(sink.write('third\n'), true)
  await sink.close()
  t.same(texts(), ['before\n', 'first\nsecond\nthird\n'])
  t.ok(drains > 0)
  t.equal(sink.sizeBytes(), null)
})

t.test('work for which no thread may be held up: lines wait meanwhile, and so does a change of the file', async t => {
  const { sink, made, texts } = changing(t)
  sink.write('before\n')
  let isQuiet = false
  const asked = deferred()
  const worked = sink.quietly(
    () => {
      asked.resolve()
      return isQuiet && !sink.holdsThread
    },
    60_000,
    () => sink.write('work\n'),
  )
  const changed = sink.changeOver()
  await asked.promise
  t.equal(sink.write('first\n'), false)
  isQuiet = true
  t.equal(await worked, false)
  made.resolve()
  t.equal(await changed, null)
  await sink.close()
  t.same(texts(), ['before\nfirst\nwork\n', ''])
})

t.test('work that may not be done is given up in time, and lines go on', async t => {
  const { sink, path } = changing(t)
  const refused = sink.quietly(
    () => false,
    1,
    () => t.fail('it was done'),
  )
  sink.write('line\n')
  await t.rejects(refused, /has not taken a line for 1 ms/)
  await t.rejects(
    sink.quietly(
      () => true,
      1,
      () => {
        throw new Error('its own')
      },
    ),
    /its own/,
  )
  await sink.close()
  t.equal(readFileSync(path, 'utf8'), 'line\n')
})

t.test('so much waits, the rest is lost and said', async t => {
  const { sink, made, texts } = changing(t, 2000)
  const changed = sink.changeOver()
  await Promise.resolve()
  for (let count = 0; count < 10; count++) t.equal(sink.write('x'.repeat(1000)), false)
  made.resolve()
  t.equal(await changed, null)
  await new Promise<void>(resolve => void sink.onDrain(resolve))
  await sink.close()
  t.equal(sink.allLostBytes, 8000)
  t.match(texts(), ['', /^x{2000}\S+ log-lost bytes=8000\n$/])
})

t.test('a file that cannot be made leaves the old one in use; a close does not wait for it', async t => {
  const { sink, path, made } = changing(t)
  const refused = () => Promise.reject(new Error('a full disk'))
  const changed = sink.changeOver(refused)
  await Promise.resolve()
  sink.write('one\n')
  t.match(await changed, /a full disk/)
  const second = sink.changeOver()
  await Promise.resolve()
  sink.write('two\n')
  await sink.close()
  t.equal(readFileSync(path, 'utf8'), 'one\ntwo\n')
  made.resolve()
  t.equal(await second, null)
})

t.test('an outage ends in the file that is there, or in one that another process makes', async t => {
  for (const isThere of [true, false]) {
    const path = join(scratchFolder(t), 'daimyo.log')
    const made = deferred()
    let times = 0
    const make = async () => {
      times++
      writeFileSync(path, '')
      made.resolve()
    }
    let device = '/dev/full'
    const open = () => openMadeLogFile(path)
    const { sink, clock, drained } = makeSink({
      path,
      open: () => openLogFile(device, null),
      reopening: { make, open, isQuiet: () => true },
    })
    device = path
    const broken = drained()
    sink.write('lost\n')
    await broken
    if (isThere) writeFileSync(path, '')
    clock.ms += 1000
    sink.write('lost too\n')
    if (!isThere) await made.promise
    await sink.changeOver(async () => {})
    sink.write('again\n')
    await sink.close()
    t.match(readFileSync(path, 'utf8'), /^again\n/)
    t.equal(times, isThere ? 0 : 1)
  }
})

t.test('when the folder is gone the old file stays in use', async t => {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'logs'))
  const path = join(folder, 'logs/daimyo.log')
  const { sink, complaints } = makeSink({ path })
  renameSync(join(folder, 'logs'), join(folder, 'moved'))
  sink.reopen()
  sink.write('still here\n')
  t.match(complaints, [/^daimyo: cannot open the log: logto=.*ENOENT.*: the log is not reopened\n$/])
  await sink.close()
  t.equal(readFileSync(join(folder, 'moved/daimyo.log'), 'utf8'), 'still here\n')
})

t.test(
  'a full disk is said once, and stops nobody',
  { skip: !existsSync('/dev/full') && 'needs /dev/full' },
  async t => {
    const { sink, complaints, clock, drained } = makeSink({ path: '/dev/full' })
    const waiting = drained()
    sink.write('lost\n')
    await waiting
    t.match(complaints, [/^daimyo: cannot write the log: \/dev\/full: ENOSPC.*serving goes on, lines are lost\n$/])
    for (let second = 1; second <= 3; second++) {
      clock.ms += 1000
      const again = drained()
      t.equal(sink.write('x'.repeat(100_000)), true, 'nobody is made to wait for a broken log')
      await again
    }
    t.equal(complaints.length, 1)
    await sink.close()
  },
)

t.test('when there is room again it writes again, and tells what is missing', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'logs/daimyo.log')
  mkdirSync(join(folder, 'logs'))
  // A limit on the file's size is a disk that is full for us alone; a program of its own has it.
  const program = `
    import { LogSink } from ${JSON.stringify(new URL('../../../kit/log/log-sink.js', import.meta.url).href)}
    import { truncateSync } from 'node:fs'
    process.on('SIGXFSZ', () => {})
    const path = ${JSON.stringify(path)}
    const clock = { ms: 0 }
    const sink = new LogSink({ path, owner: null, now: () => clock.ms, writeError: line => process.stderr.write(line) })
    const drain = () => new Promise(resolve => { const remove = sink.onDrain(() => { remove(); resolve() }) })
    let wait = drain()
    sink.write('x'.repeat(200000))
    await wait
    clock.ms = 500
    sink.write('y'.repeat(100))
    truncateSync(path, 0)
    clock.ms = 1000
    wait = drain()
    sink.write('again\\n')
    await wait
    await sink.close()`
  const child = spawn('/bin/sh', [
    '-c',
    'ulimit -f 100; exec "$0" --input-type=module -e "$1"',
    process.execPath,
    program,
  ])
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  await once(child, 'close')
  t.match(complaints, /^daimyo: cannot write the log: .*EFBIG.*\n$/)
  const text = readFileSync(path, 'utf8')
  const limit = Number(/^again\n\S+ log-lost bytes=(\d+)\n$/.exec(text)?.[1])
  t.ok(limit >= 100 + 200_000 - 102_400 && limit <= 200_100, text.slice(0, 200))
})

t.test('a start with a log that cannot be opened is refused', async t => {
  t.throws(() => makeSink({ path: join(scratchFolder(t), 'no/daimyo.log') }), { code: 'log' })
})

t.test('standard output that nobody reads is a log that is behind; closing gives up', async t => {
  const program = `
    import { LogSink } from ${JSON.stringify(new URL('../../../kit/log/log-sink.js', import.meta.url).href)}
    const sink = new LogSink({ path: null, owner: null, writeError: line => process.stderr.write(line) })
    let count = 0
    while (sink.write('x'.repeat(10000))) count += 1
    process.stderr.write('behind ' + count + '\\n')
    if (process.argv[1] === 'broken') sink.onDrain(() => process.stderr.write(sink.write('more') ? 'free\\n' : 'stuck\\n'))
    else { await sink.close(); process.stderr.write('closed\\n'); process.exit(0) }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, 'quiet'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  child.stdout.pause()
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
  t.match(text, /^behind \d+\n(closed\n)?/)

  const broken = spawn(process.execPath, ['--input-type=module', '-e', program, 'broken'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => broken.kill('SIGKILL'))
  let complaints = ''
  broken.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaints += chunk
  })
  broken.stdout.destroy()
  await once(broken, 'exit')
  t.match(complaints, /behind \d+\n(.|\n)*cannot write the log: standard output: (.|\n)*EPIPE(.|\n)*free\n/)
})

t.test(
  'the sink of a removed file is no leak of descriptors',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    const { readdirSync } = await import('node:fs')
    const folder = scratchFolder(t)
    const path = join(folder, 'daimyo.log')
    const { sink } = makeSink({ path })
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    for (let count = 0; count < 20; count++) {
      rmSync(path)
      sink.reopen()
      sink.write('line\n')
    }
    await sink.close()
    // The descriptors of the old streams are closed by the thread pool, each after its fsync.
    const deadline = performance.now() + 60_000
    while (open() >= before && performance.now() < deadline) await new Promise(resolve => setImmediate(resolve))
    t.ok(open() < before)
  },
)
