/** Tests of environment files: what they may hold, and every line that is refused. */

import t from 'tap'
import { parseEnvFile } from '../../../../supervisor/config/ini/env-file.js'

const read: [title: string, text: string, expected: Record<string, string>][] = [
  ['nothing', '', {}],
  ['plain values', 'A=1\nB = two words  \n\tC=\nD==x=', { A: '1', B: 'two words', C: '', D: '=x=' }],
  ['comments and empty lines', '# A=1\n  ; B=2\n\n \t\nC=3', { C: '3' }],
  ['export', 'export A=1\nexport\tB=2\nexport=3', { A: '1', B: '2', export: '3' }],
  ['quotes', `A="it's #1 "\nB='say "\\n" # no'  \nC=""`, { A: "it's #1 ", B: 'say "\\n" # no', C: '' }],
  ['several lines', 'A="-----BEGIN\nb=c\n\n-----END" \nB=1', { A: '-----BEGIN\nb=c\n\n-----END', B: '1' }],
  ['quotes and braces inside', `A=it's\nB={"a":1}\nC=$A`, { A: "it's", B: '{"a":1}', C: '$A' }],
  ['line ends of Windows', 'A=1\r\nB="x\r\ny"\r\n', { A: '1', B: 'x\ny' }],
  ['the last one counts', 'A=1\nA=2', { A: '2' }],
]
for (const [title, text, expected] of read) {
  t.test(title, async t => {
    const { variables, mistakes } = parseEnvFile(text)
    t.same(mistakes, [])
    t.same(Object.fromEntries(variables.map(({ name, value }) => [name, value])), expected)
  })
}

const refused: [title: string, text: string, line: number, why: RegExp][] = [
  ['no assignment', 'A=1\n\nsesame', 3, /^received something else: accepted NAME=VALUE/],
  ['a wrong name', 'my-sesame=1', 1, /^received something else/],
  ['a backslash', 'A="x\ny"\nB=se\\same', 3, /^received a backslash, which .*: accepted in single quotes$/],
  ['a backslash in double quotes', 'A="se\\nsame"', 1, /^received a backslash/],
  ['a comment behind a value', 'A=sesame # x', 1, /^received `#` in a value, .*: accepted in quotes$/],
  ['a hash', 'A=se#same', 1, /^received `#`/],
  ['a backtick', 'A=`sesame`', 1, /^received a backtick/],
  [
    'a quote that is not closed',
    'A="1"\nB="sesame\nC=1\n',
    2,
    /^received a quote that is not closed: accepted a second "$/,
  ],
  ['text behind the quote', "A='x'sesame", 1, /^received text behind the closing quote/],
  ['a comment behind the quote', "A='x' # sesame", 1, /^received text behind the closing quote/],
  ['NUL', 'A=se\0same', 1, /^received NUL/],
]
for (const [title, text, line, why] of refused) {
  t.test(`refuses ${title}`, async t => {
    const { mistakes } = parseEnvFile(text)
    t.match(mistakes, [{ line, why }])
    t.equal(mistakes.length, 1)
    t.notMatch(mistakes[0]?.why, /same/, 'and shows nothing of it')
  })
}

t.test('all mistakes at once, and a large file in no time', async t => {
  const { variables, mistakes } = parseEnvFile('x\nA=1\nB="\\"\ny')
  t.same([variables.length, mistakes.map(({ line }) => line)], [1, [1, 3, 4]])
  const large = parseEnvFile(`A='${"\n'\nA='".repeat(150_000)}`)
  t.same([large.variables.length, large.mistakes.length], [150_000, 1])
})
