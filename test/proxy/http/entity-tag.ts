/** Entity tags: what changes them, and how lists of them are read. */

import t from 'tap'
import { entityTagOf, type FileVersion, listsEntityTag } from '../../../proxy/http/entity-tag.js'

const VERSION: FileVersion = { sizeBytes: 1024, modifiedNs: 1_700_000_000_123_456_789n, inode: 42n }
const TAG = entityTagOf(VERSION)

const CHANGES: [title: string, version: FileVersion][] = [
  ['size', { ...VERSION, sizeBytes: 1025 }],
  ['one nanosecond', { ...VERSION, modifiedNs: VERSION.modifiedNs + 1n }],
  ['inode', { ...VERSION, inode: 43n }],
  ['inodes past 2^53 that differ by one', { ...VERSION, inode: 2n ** 53n + 1n }],
]

t.match(TAG, /^"[!#-~]+"$/, 'is a strong tag')
t.equal(entityTagOf({ ...VERSION }), TAG, 'is the same for the same file')
for (const [title, version] of CHANGES) t.not(entityTagOf(version), TAG, `changes with ${title}`)
t.not(entityTagOf({ ...VERSION, inode: 2n ** 53n }), entityTagOf({ ...VERSION, inode: 2n ** 53n + 1n }))

const LISTS: [title: string, value: string, strong: boolean, weak: boolean][] = [
  ['the tag', TAG, true, true],
  ['anything', '*', true, true],
  ['the weak tag', `W/${TAG}`, false, true],
  ['in a list', `"a", ${TAG}, "b"`, true, true],
  ['in a list without spaces', `"a",${TAG},"b"`, true, true],
  ['weak in a list', `"a", W/${TAG}`, false, true],
  ['with empty elements', `, ,${TAG},`, true, true],
  ['after a tag with a comma inside', `"a,b", ${TAG}`, true, true],
  ['after a tag of high bytes', `"\xe9", ${TAG}`, true, true],
  ['another tag', '"a"', false, false],
  ['part of the tag', TAG.slice(0, -2), false, false],
  ['the tag inside another', `"a${TAG.slice(1, -1)}b"`, false, false],
  ['without quotes', TAG.slice(1, -1), false, false],
  ['small w', `w/${TAG}`, false, false],
  ['a star in a list', '"a", *', false, false],
  ['a quoted star', '"*"', false, false],
  ['a list without comma', `"a" ${TAG}`, false, false],
  ['a list that ends in a broken tag', `${TAG}, "a`, false, false],
  ['a space inside a tag', `"a b", ${TAG}`, false, false],
  ['an empty value', '', false, false],
  ['a long list of others', '"a",'.repeat(2000), false, false],
]

for (const [title, value, strong, weak] of LISTS) {
  t.equal(listsEntityTag(value, TAG, 'strong'), strong, `strong: ${title}`)
  t.equal(listsEntityTag(value, TAG, 'weak'), weak, `weak: ${title}`)
}
