/** Where the files of a build are, from the URL of a bundle or of a single module. */

import { existsSync } from 'node:fs'
import t from 'tap'
import { BUILD, builtFile, topOf } from '../../../kit/ground/places.js'

const cases: [title: string, file: string, top: string][] = [
  ['a single module', 'file:///opt/daimyo/dist/kit/ground/places.js', 'file:///opt/daimyo/dist/'],
  ['a bundle', 'file:///opt/daimyo/dist/supervisor/daimyo.js', 'file:///opt/daimyo/dist/'],
  ['one two folders below', 'file:///opt/daimyo/dist/app/host/main.js', 'file:///opt/daimyo/dist/'],
  ['a build in a folder of that name', 'file:///srv/proxy/kit/dist/proxy/main.js', 'file:///srv/proxy/kit/dist/'],
  ['a build with the room of another', 'file:///srv/app/host/dist/supervisor/daimyo.js', 'file:///srv/app/host/dist/'],
]
for (const [title, file, top] of cases) t.test(title, async t => t.equal(topOf(file), top))

t.test('a file elsewhere', async t =>
  t.throws(() => topOf('file:///srv/site/proxies.js'), /lies in no folder of daimyo/),
)

t.test('this build', async t => {
  t.match(BUILD, /\/$/)
  for (const entry of ['supervisor/daimyo.js', 'proxy/main.js', 'app/host/main.js', 'kit/child-prelude.cjs'])
    t.ok(existsSync(builtFile(entry)), entry)
})
