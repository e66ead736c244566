/** The response with one certain file, for a caller that sends it itself. */

import fs from 'node:fs'
import t from 'tap'
import type { Conditions } from '../../../proxy/http/conditions.js'
import { entityTagOf } from '../../../proxy/http/entity-tag.js'
import { responseFromDisk } from '../../../proxy/static/disk-response.js'
import type { StaticRequest } from '../../../proxy/static/files.js'

const folder = fs.realpathSync(t.testdir({ 'a.txt': 'hello', dir: {} }))
const { ino: inode, mtimeNs: modifiedNs } = fs.statSync(`${folder}/a.txt`, { bigint: true })
const TAG = entityTagOf({ sizeBytes: 5, modifiedNs, inode })

function request(conditions: Conditions = {}, method = 'GET'): StaticRequest {
  return { method, conditions }
}

t.test('a file, or why there is none', async t => {
  const cases: [title: string, path: string, request: StaticRequest, expected: string | number, body: boolean][] = [
    ['a file', '/a.txt', request(), 200, true],
    ['HEAD', '/a.txt', request({}, 'HEAD'), 200, false],
    ['a range', '/a.txt', request({ range: 'bytes=1-' }), 206, true],
    ['not modified', '/a.txt', request({ 'if-none-match': TAG }), 304, false],
    ['the first of ranges behind the end', '/a.txt', request({ range: 'bytes=5-' }), 416, false],
    ['another method', '/a.txt', request({}, 'POST'), 405, false],
    ['a folder', '/dir', request(), 'directory', false],
    ['nothing', '/none', request(), 'missing', false],
  ]
  for (const [title, path, asked, expected, body] of cases) {
    const found = await responseFromDisk({ folder, path }, asked)
    t.equal(found.kind === 'response' ? found.response.status : found.kind, expected, title)
    t.equal(found.kind === 'response' && found.file !== null, body, `${title}: open or not`)
    if (found.kind === 'response') found.file?.close()
  }
})

t.test('with what the caller says of it', async t => {
  const facts = { contentType: 'text/x', coding: 'gzip', vary: 'Accept-Encoding', freshness: null } as const
  const found = await responseFromDisk({ folder, path: '/a.txt' }, request({}, 'HEAD'), [], facts)
  if (found.kind !== 'response') throw new Error(found.kind)
  const headers = Object.fromEntries(found.response.headers)
  t.match(headers, { 'Content-Type': 'text/x', 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' })
})
