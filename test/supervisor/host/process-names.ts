/** What `ps` shows: `supervisor/host/process-names.ts`. */

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { processName } from '../../../supervisor/host/process-names.js'

const module = fileURLToPath(new URL('../../../supervisor/host/process-names.js', import.meta.url))

t.equal(processName('daimyo: proxy 1', { prefix: 'shop ', append: '-x' }), 'shop daimyo: proxy 1-x')

const masters: [title: string, prefix: string, expected: RegExp][] = [
  ['with its INI', '', /^daimyo: master \/srv\/shop\.ini-x$/],
  ['behind a prefix', 'shop-', /^shop-daimyo: master \/srv\/shop\.ini-x$/],
  ['alone where the prefix would take all the room', 'x'.repeat(4000), /^daimyo: master \/srv\/shop\.ini$/],
]
const code = `
  import { nameMaster } from ${JSON.stringify(module)}
  for (const prefix of JSON.parse(process.env.PREFIXES)) {
    nameMaster('/srv/shop.ini', { prefix, append: '-x' })
    console.log(process.title)
  }`
// The prefixes are not on the command line, whose length is the room that there is.
const env = { PATH: process.env.PATH, PREFIXES: JSON.stringify(masters.map(([, prefix]) => prefix)) }
const named = execFileSync(process.execPath, ['--input-type=module', '-e', code], { env, encoding: 'utf8' }).split('\n')
for (const [index, [title, , expected]] of masters.entries()) {
  t.match(named[index], expected, `the master is named ${title}`)
}
