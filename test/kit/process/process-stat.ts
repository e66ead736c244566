/** No name of a process looks like a field of it: `kit/process/process-stat.ts`. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseProcessStat, statusField, statusNumber } from '../../../kit/process/process-stat.js'
import { nameThisProcess } from '../fixtures/own-name.js'

const statusOf = (name: string) =>
  `Name:\t${name}\nState:\tS (sleeping)\nTgid:\t7\nTracerPid:\t0\nUid:\t33\t34\t33\t33\nVmRSS:\t  1234 kB\nCapInh:\t00ff\n`

const names: [title: string, name: string][] = [
  ['a plain one', 'node'],
  ['behind a carriage return', '\rUid:0'],
  ['behind a line separator', '\u2028Uid:0'],
  ['behind a paragraph separator', '\u2029Uid:0'],
  ['behind an escaped line feed', '\\nUid:0'],
  ['a field itself', 'Uid:0'],
  ['the first field', 'Name:\tinit'],
  ['none', ''],
]
for (const [title, name] of names) {
  t.test(`fields of a process with a name: ${title}`, async t => {
    const status = statusOf(name)
    t.equal(statusField(status, 'Name'), name)
    t.equal(statusField(status, 'State'), 'S (sleeping)')
    t.equal(statusNumber(status, 'Uid'), 33)
    t.equal(statusNumber(status, 'TracerPid'), 0)
    t.equal(statusNumber(status, 'VmRSS'), 1234)
    t.equal(statusField(status, 'CapInh'), '00ff')
    t.equal(statusField(status, 'Pid'), null, 'there is no such field')
    t.equal(statusNumber(status, 'State'), null, 'it is no number')
  })
}

t.test('a text without lines has no fields', async t => {
  for (const text of ['', 'Uid:\t0', 'x']) t.equal(statusField(text, 'Uid'), null)
})

t.test(
  'what the kernel says of a process with such a name',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    nameThisProcess(t, '\rTgid:1')
    t.equal(statusNumber(readFileSync('/proc/self/status', 'utf8'), 'Tgid'), process.pid)
    nameThisProcess(t, 'a\n) Z 1 ')
    t.match(parseProcessStat(readFileSync('/proc/self/stat', 'utf8')), {
      name: 'a\n) Z 1 ',
      state: /^[RS]$/,
      parent: process.ppid,
    })
  },
)
