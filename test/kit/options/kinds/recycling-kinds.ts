/** Megabytes and arguments of Node: `kit/options/kinds/recycling-kinds.ts`. */

import t from 'tap'
import { megabytes, nodeArguments } from '../../../../kit/options/kinds/recycling-kinds.js'

const context = { cwd: '/', chdir: '/', cores: 1 }
const refused = (hint: string | null = null) => ({ ok: false as const, hint })

const sizes: [text: string, expected: unknown][] = [
  ['0', { ok: true, value: 0 }],
  ['512', { ok: true, value: 512 * 1024 ** 2 }],
  ['512M', refused('512')],
  ['512 mb', refused('512')],
  ['1.5', refused()],
  ['-1', refused()],
  ['', refused()],
  ['99999999999', refused()],
  ['2000000', refused()],
]

t.test('megabytes', t => {
  for (const [text, expected] of sizes) t.same(megabytes.parse(text, context), expected, text)
  t.equal(megabytes.print(512 * 1024 ** 2), '512')
  t.end()
})

const accepted: [text: string, words: string[]][] = [
  ['--enable-source-maps', ['--enable-source-maps']],
  ['  --a   --b=c ', ['--a', '--b=c']],
  ['--import ./instrument.mjs --no-warnings', ['--import', './instrument.mjs', '--no-warnings']],
  ['-r dotenv/config', ['-r', 'dotenv/config']],
  ['--inspect=127.0.0.1:0', ['--inspect=127.0.0.1:0']],
]

const bad = [
  '',
  'other.js',
  '--enable-source-maps other.js',
  '-e 1',
  '--eval=1',
  '-p',
  '-pe',
  '-c',
  '-i',
  '--version',
  '--',
  '-',
  '--test',
  '--watch',
  '--run=x',
  '--inspect-brk',
  '--import',
  '--import --import',
  '-r a b',
]

t.test('arguments of Node', t => {
  for (const [text, words] of accepted) t.same(nodeArguments.parse(text, context), { ok: true, value: words }, text)
  for (const text of bad) t.same(nodeArguments.parse(text, context), refused(), text)
  t.end()
})
