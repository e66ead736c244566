/** What README, ARCHITECTURE and docs promise can be typed: the INI is valid, the commands exist, the links lead somewhere. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { parseCommandLine } from '../../supervisor/command/command-line.js'
import { topFolder, WatchedSite } from './fixtures/watched-site.js'

const read = (path: string) => readFileSync(join(topFolder, path), 'utf8')
const readme = read('README.md')
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

t.test('the INI has no mistake', async t => {
  const site = new WatchedSite(t)
  const [, ini = ''] = /```ini\n(.*?)```/s.exec(readme) ?? []
  t.match(ini, /^\[uwsgi\]$/m, 'there is one')
  // Its paths are those of somebody's host: here they lie in a folder of ours.
  const here = ini.replaceAll(/(?<==)( ?)(\/(srv|var|run)\/)/g, `$1${site.folder}$2`)
  t.not(here, ini, 'it names paths')
  for (const folder of ['srv/site/public', 'var/log', 'run']) mkdirSync(site.path(folder), { recursive: true })
  writeFileSync(site.path('srv/site/server.js'), '')
  writeFileSync(site.ini, here)
  t.match(await site.run('check', site.ini), { code: 0, out: /: OK\n/, err: '' })
  writeFileSync(site.ini, here.replace('processes', 'proceses'))
  t.match(await site.run('check', site.ini), { code: 78 }, 'it would have told')
})

t.test('the commands are known', async t => {
  const commands = [...readme.matchAll(/^\| `daimyo ([^`]+)` \|/gm)].map(([, words = '']) => words)
  t.ok(commands.length >= 8, `${commands.length} commands`)
  for (const words of commands) {
    const parsed = parseCommandLine(words.split(' '), {})
    const [first = ''] = words.split(' ')
    const expected = first.includes('.') ? 'run' : first === 'help' ? 'explain' : first
    t.equal(parsed.command, expected, `daimyo ${words}`)
  }
  t.match(parseCommandLine(['relaod', 'site.ini'], {}), { command: 'usage-error' }, 'it would have told')
})

t.test('the npm scripts are there', async t => {
  const named = [...readme.matchAll(/\bnpm (?:run )?(start|test|(?<=run )\w+)/g)].map(([, name = '']) => name)
  t.ok(named.length >= 5, named.join(' '))
  for (const name of named) t.ok(name in scripts, `npm run ${name}`)
})

t.test('the relative links lead somewhere', async t => {
  const docs = readdirSync(join(topFolder, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`)
  const pages = [...readdirSync(topFolder).filter(name => name.endsWith('.md')), ...docs]
  let links = 0
  for (const page of pages) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      t.ok(existsSync(join(topFolder, file)), `${page}: ${target}`)
      if (anchor !== undefined) t.ok(anchorsOf(read(file)).includes(anchor), `${page}: ${target}: its heading`)
      links++
    }
  }
  t.ok(links > 0, `${links} links`)
})

/** As the forges make them of headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
