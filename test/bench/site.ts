import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder, SITE_FILES } from '../../bench/site.js'

t.test('makeFolder makes the files at their sizes', t => {
  const { folder, siteFolder } = makeFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const [name, bytes] of Object.entries(SITE_FILES))
    t.equal(readFileSync(join(siteFolder, name)).length, bytes, name)
  t.end()
})

t.test('makeFolder refuses a folder that sockets do not fit into', t => {
  const before = process.env.TMPDIR
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  process.env.TMPDIR = `/tmp/${'long'.repeat(20)}`
  t.throws(() => makeFolder(), { code: 'BENCH_FOLDER', message: /too long for unix sockets/ })
  t.end()
})
