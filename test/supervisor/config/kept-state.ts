/** Which applications are told of `sticky`: `supervisor/config/kept-state.ts`. */

import t from 'tap'
import { memoryFiles } from './fixtures/memory-files.js'
import { BASE, FILES, read } from './fixtures/reading.js'

const needs = (...names: string[]) =>
  JSON.stringify({ dependencies: Object.fromEntries(names.map(name => [name, '*'])) })

const cases: [title: string, lines: string[], text: string | null, expected: RegExp | null][] = [
  [
    'Socket.IO',
    ['processes = 2'],
    needs('express', 'socket.io'),
    /^sticky: not set: package.json names socket.io, whose long polling/,
  ],
  ['Socket.IO by Nest', ['processes = 2'], needs('@nestjs/platform-socket.io'), /names @nestjs\/platform-socket.io/],
  [
    'sessions in memory',
    ['processes = 4'],
    needs('express-session'),
    /names express-session, .*accepted `sticky = NAME`, or a store/,
  ],
  [
    'sessions in a store that is in memory too',
    ['processes = 4'],
    needs('express-session', 'memorystore'),
    /express-session/,
  ],
  ['sessions in Redis', ['processes = 4'], needs('express-session', 'connect-redis'), null],
  ['sessions in PostgreSQL', ['processes = 4'], needs('express-session', 'connect-pg-simple'), null],
  ['sessions in MySQL', ['processes = 4'], needs('express-session', 'express-mysql-session'), null],
  ['sessions of Prisma', ['processes = 4'], needs('express-session', '@quixo3/prisma-session-store'), null],
  ['both', ['processes = 2'], needs('express-session', 'connect-redis', 'socket.io'), /socket.io/],
  ['one worker', ['processes = 1'], needs('socket.io'), null],
  ['sticky is set', ['processes = 2', 'sticky = worker'], needs('socket.io'), null],
  ['neither', ['processes = 2'], needs('express'), null],
  ['a tool of development', ['processes = 2'], '{"devDependencies":{"socket.io":"*"}}', null],
  ['no package.json', ['processes = 2'], null, null],
  ['one that is no JSON', ['processes = 2'], '{', null],
  ['one that is something else', ['processes = 2'], 'null', null],
  ['one with nonsense', ['processes = 2'], '{"dependencies":["socket.io"]}', null],
]
for (const [title, lines, text, expected] of cases) {
  t.test(title, async t => {
    const ini = ['[uwsgi]', ...BASE, ...lines].join('\n')
    const files = { ...FILES, '/srv/shop.ini': ini, ...(text === null ? {} : { '/srv/package.json': text }) }
    const { settings, remarks } = read([], { files: memoryFiles(files) })
    const found = remarks.filter(({ message }) => message.startsWith('sticky'))
    if (expected === null) t.same(found, [])
    else t.match(found, [{ place: 'shop.ini', message: expected }])
    t.notOk(
      settings?.configFiles.some(path => path.endsWith('package.json')),
      'no file of the configuration',
    )
  })
}
