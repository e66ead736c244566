/** Tests `supervisor/command/read-password.ts` and `hash-password-command.ts`, with pipes and with a real terminal. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { verifyPassword } from '../../../kit/page/password-hash.js'
import { hashPasswordCommand } from '../../../supervisor/command/hash-password-command.js'
import { readPassword } from '../../../supervisor/command/read-password.js'
import { keptContext } from '../fixtures/fake-master.js'

function input(...chunks: string[]): PassThrough {
  const stream = new PassThrough()
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  return stream
}

const lines: [string, string[], string][] = [
  ['one line', ['geheim\n'], 'geheim'],
  ['only the first', ['one\ntwo\n'], 'one'],
  ['in pieces', ['ge', 'he', 'im\nx'], 'geheim'],
  ['without an end', ['geheim'], 'geheim'],
  ['from Windows', ['geheim\r\n'], 'geheim'],
  ['with characters that are keys on a terminal', ['a\u0003b\u007fc\n'], 'a\u0003b\u007fc'],
  ['with spaces and more', [' pässwörd 🔑 \n'], ' pässwörd 🔑 '],
  ['nothing', [], ''],
]
for (const [title, chunks, expected] of lines) {
  t.test(`from a pipe: ${title}`, async t => {
    const asked: string[] = []
    t.equal(await readPassword(input(...chunks), text => asked.push(text), 'password: '), expected)
    t.same(asked, [], 'nobody is there to be asked')
  })
}

t.test('an endless line is refused', async t => {
  const stream = new PassThrough()
  stream.write('x'.repeat(5000))
  await t.rejects(
    readPassword(stream, () => {}, ''),
    { code: 'usage', exitCode: EXIT.usage },
  )
})

t.test('the printed hash is that of the password, and nothing else is printed', async t => {
  const context = keptContext('/')
  t.equal(await hashPasswordCommand(input('geheim\n'), context), EXIT.ok)
  t.equal(await verifyPassword('geheim', context.out.trimEnd()), true)
  t.equal(await verifyPassword('anders', context.out.trimEnd()), false)
  t.notMatch(context.out + context.err, /geheim/)
})

t.test('no password is refused', async t => {
  await t.rejects(hashPasswordCommand(input('\n'), keptContext('/')), { code: 'usage', exitCode: EXIT.usage })
})

const hasTerminal = spawnSync('script', ['--version']).status === 0
t.test('a terminal', { skip: !hasTerminal && 'needs the package bsdutils (script)' }, async t => {
  const module = new URL('../../../supervisor/command/hash-password-command.js', import.meta.url).href
  const program = `
    import { hashPasswordCommand } from ${JSON.stringify(module)}
    const context = { print: text => process.stdout.write(text), writeError: text => process.stderr.write(text) }
    hashPasswordCommand(process.stdin, context).then(() => process.exit(0), error => {
      process.stdout.write('failed: ' + error.message + '\\n')
      process.exit(1)
    })`
  const onTerminal = async (answers: [RegExp, string][]) => {
    const command = `'${process.execPath}' --input-type=module -e "$PROGRAM"; stty -a | grep -ow -e '-\\?echo'`
    const env = { ...process.env, PROGRAM: program, SHELL: '/bin/sh' }
    const child = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    let screen = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text
      const [next] = answers
      if (next === undefined || !next[0].test(screen)) return
      answers.shift()
      child.stdin.write(next[1])
    })
    await once(child, 'close')
    return screen.replaceAll('\r', '')
  }
  const typed = await onTerminal([
    [/password: $/, 'gehx\u007feim\r'],
    [/again: $/, 'wrong\u0015geheim\r'],
  ])
  const hash = /^(scrypt\S+)$/m.exec(typed)?.[1] ?? ''
  t.equal(await verifyPassword('geheim', hash), true, typed)
  t.notMatch(typed, /geh/, 'what was typed is not on the screen')
  t.match(typed, /^echo$/m, 'the terminal has its echo back')

  const different = await onTerminal([
    [/password: $/, 'one\r'],
    [/again: $/, 'two\r'],
  ])
  t.match(different, /failed: .*not the same/)
  const interrupted = await onTerminal([[/password: $/, 'one\u0003']])
  t.match(interrupted, /failed: interrupted\n(.|\n)*^echo$/m)
})
