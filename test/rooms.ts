/**
 * The rooms of ARCHITECTURE.md as a test: each folder of sources is a room of its tables, an import goes only where its row allows, and a room may import
 * only rooms that stand above it. So there are no circles of rooms; circles of files are looked for too, imports of types included.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const top = fileURLToPath(new URL('../..', import.meta.url))
const HOUSES = ['kit', 'proxy', 'app/host', 'supervisor']
const MOST_FILES = 18
const TOP_ROOM = '(top)'
const ALL = 'all of them'

/** One row of a house's table. `mayImport`: folders. */
interface Room {
  folder: string
  mayImport: string[]
}

/** The imports of one file, as paths from the top. */
type Imports = Map<string, string[]>

/** The rows below `### HOUSE/`, from the ground up. */
function readRooms(page: string, house: string): Room[] {
  const table = page.split(`\n### ${house}/\n`)[1]?.split('\n#')[0] ?? ''
  const rows = table.split('\n').filter(line => line.startsWith('|'))
  const rooms: Room[] = []
  for (const row of rows.slice(2)) {
    const [, name = '', , allowed = ''] = row.split('|').map(cell => cell.trim())
    const folder = name === TOP_ROOM ? house : `${house}/${name.replaceAll('`', '')}`
    const named = [...allowed.matchAll(/`([^`]+)`/g)].map(match => `${house}/${match[1]}`)
    rooms.push({ folder, mayImport: allowed === ALL ? rooms.map(room => room.folder) : named })
  }
  return rooms
}

function readImports(house: string): Imports {
  const names = readdirSync(join(top, house), { recursive: true, encoding: 'utf8' })
  const paths = names.filter(name => /\.c?ts$/.test(name)).map(name => `${house}/${name}`)
  return new Map(paths.map(path => [path, importsOf(path, readFileSync(join(top, path), 'utf8'))]))
}

function importsOf(path: string, text: string): string[] {
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport|\bimport\(|new URL\()\s*'(\.[^']+\.c?js)'/g)]
  return specifiers.map(match => posix.join(dirname(path), match[1] ?? '').replace(/js$/, 'ts'))
}

/** What goes against the tables, a sentence each. */
function violations(house: string, rooms: Room[], imports: Imports): string[] {
  const found: string[] = []
  const folders = rooms.map(room => room.folder)
  for (const [at, { folder, mayImport }] of rooms.entries()) {
    const files = [...imports.keys()].filter(path => dirname(path) === folder)
    if (files.length === 0) found.push(`${folder}: no file is in it`)
    if (files.length > MOST_FILES) found.push(`${folder}: ${files.length} files, at most ${MOST_FILES}`)
    for (const other of mayImport) {
      if (folders.indexOf(other) >= at || !folders.includes(other))
        found.push(`${folder}: ${other} stands not above it`)
    }
  }
  for (const [path, imported] of imports) {
    const room = rooms.find(({ folder }) => folder === dirname(path))
    if (room === undefined) found.push(`${path}: its folder is no room of ARCHITECTURE.md`)
    for (const other of imported.filter(name => name.startsWith(`${house}/`))) {
      const isAllowed = dirname(other) === room?.folder || room?.mayImport.includes(dirname(other))
      if (!isAllowed) found.push(`${path} imports ${other}`)
    }
  }
  return found
}

/** Files that import one another in a circle; each circle once, as the path that was walked. */
function circles(imports: Imports): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const walk = (path: string, way: string[]) => {
    const at = way.indexOf(path)
    if (at >= 0) found.push([...way.slice(at), path].join(' -> '))
    if (at >= 0 || done.has(path)) return
    for (const next of imports.get(path) ?? []) walk(next, [...way, path])
    done.add(path)
  }
  for (const path of imports.keys()) walk(path, [])
  return found
}

const page = readFileSync(join(top, 'ARCHITECTURE.md'), 'utf8')

for (const house of HOUSES) {
  t.test(`the rooms of ${house}/`, async t => {
    const rooms = readRooms(page, house)
    t.ok(rooms.length > 1, `${rooms.length} rooms`)
    t.same(violations(house, rooms, readImports(house)), [])
  })
}

t.test('no file imports itself by way of others, types included', async t => {
  t.same(circles(new Map(HOUSES.flatMap(house => [...readImports(house)]))), [])
})

t.test('an import against the arrows is found', async t => {
  const rooms = readRooms(page, 'proxy')
  const imports = readImports('proxy')
  const path = imports.get('proxy/exchange/exchange.ts')?.find(each => each.startsWith('proxy/http/')) ?? ''
  const added = "import { Link } from '../link/link.js'\nimport type { Exchange } from '../exchange/exchange.js'"
  imports.set(path, [...(imports.get(path) ?? []), ...importsOf(path, added)])
  t.same(violations('proxy', rooms, imports), [
    `${path} imports proxy/link/link.ts`,
    `${path} imports proxy/exchange/exchange.ts`,
  ])
  t.match(circles(imports).join('\n'), path, 'and makes a circle of files')
})

t.test('what the tables may not say', async t => {
  const imports: Imports = new Map([
    ['a/low/one.ts', []],
    ['a/high/two.ts', ['a/low/one.ts']],
    ['a/elsewhere/three.ts', []],
  ])
  const rooms = [
    { folder: 'a/low', mayImport: ['a/high'] },
    { folder: 'a/high', mayImport: ['a/low'] },
    { folder: 'a/empty', mayImport: [] },
  ]
  t.same(violations('a', rooms, imports), [
    'a/low: a/high stands not above it',
    'a/empty: no file is in it',
    'a/elsewhere/three.ts: its folder is no room of ARCHITECTURE.md',
  ])
})
