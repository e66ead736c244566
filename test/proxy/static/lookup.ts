/** What of an earlier look is believed. */

import fs from 'node:fs'
import t from 'tap'
import type { Variants } from '../../../proxy/static/cache.js'
import { FreshnessRules } from '../../../proxy/static/freshness.js'
import { type LookupRules, lookUp } from '../../../proxy/static/lookup.js'
import { StoredFile } from '../../../proxy/static/stored-file.js'
import { SETTINGS } from '../fixtures/rig.js'

const folder = fs.realpathSync(t.testdir({}))
const file = `${folder}/a`
const rules: LookupRules = {
  files: SETTINGS,
  freshness: new FreshnessRules(SETTINGS),
  wholeBytes: 1000,
  isCompressed: () => false,
  previous: () => [],
}

async function look(
  known: StoredFile | null,
  wholeBytes = 1000,
  before: readonly StoredFile[] = [],
): Promise<StoredFile> {
  const places = [{ folder, path: '/a' }]
  const question = {
    places,
    path: '/a',
    uri: '/a',
    vary: '',
    known: known === null ? null : ([...before, known] as readonly StoredFile[] as Variants),
  }
  const found = await lookUp(question, { ...rules, wholeBytes })
  if (found.kind !== 'file') throw new Error(found.kind)
  return found.variants[0]
}

/** The same as if it had been seen long after the file was changed. */
function settled(variant: StoredFile): StoredFile {
  const { place, version, validators, contentType, coding, vary, freshness, body } = variant
  return new StoredFile({ place, version, validators, contentType, coding, vary, freshness, body, isYoung: false })
}

/** Content of the same length, with times that `utimes` can set to the nanosecond. */
function write(text: string): void {
  fs.writeFileSync(file, text)
  fs.utimesSync(file, 1000, 1000)
}

t.test('what has not changed is kept', async t => {
  write('one')
  const first = await look(null)
  const known = settled(first)
  t.equal(await look(known), known)
})

t.test('a form that was made of the file is not taken for it', async t => {
  write('one')
  const known = settled(await look(null))
  const { place, version, validators, contentType, vary, freshness } = known
  const facts = { place, version, validators, contentType, vary, freshness, isYoung: false }
  const made = new StoredFile({ ...facts, coding: 'gzip', body: Buffer.from('gz') })
  t.equal(await look(known, 1000, [made]), known)
})

t.test('what was read just after a change is read again', async t => {
  write('one')
  const young = await look(null)
  t.equal(young.isYoung, true)
  t.not(await look(young), young)
})

t.test('a change that leaves size and time as they were is seen', async t => {
  write('one')
  const known = settled(await look(null))
  write('two')
  const next = await look(known)
  t.equal(next.version.modifiedNs, known.version.modifiedNs)
  t.equal(next.body?.toString(), 'two')
})

t.test('only small files are read', async t => {
  write('one')
  t.equal((await look(null, 3)).body?.toString(), 'one')
  t.equal((await look(null, 2)).body, null)
  t.equal((await look(null, 2)).sizeBytes, 3)
})
