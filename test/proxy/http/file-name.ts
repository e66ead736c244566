/** Names that are no UTF-8: there and back, and no two names are one string. */

import t from 'tap'
import { encodeName, nameOf, nativePath } from '../../../proxy/http/file-name.js'

const cases: [title: string, bytes: string, name: string, encoded: string][] = [
  ['nothing', '', '', ''],
  ['ASCII', 'a b\\', 'a b\\', 'a%20b%5C'],
  ['UTF-8', '\xc3\xbc', 'ü', '%C3%BC'],
  ['beyond the first plane', '\xf0\x9f\x98\x80', '😀', '%F0%9F%98%80'],
  ['a low surrogate that has its high one', '\xf0\x9f\x92\x80', '💀', '%F0%9F%92%80'],
  ['ISO 8859-1', 'caf\xe9', 'caf\udce9', 'caf%E9'],
  ['UTF-8 behind another byte', '\xff\xc3\xbc', '\udcff\udcc3\udcbc', '%FF%C3%BC'],
  ['half a surrogate pair, encoded', '\xed\xb3\xa9', '\udced\udcb3\udca9', '%ED%B3%A9'],
  ['overlong', '\xc0\xae', '\udcc0\udcae', '%C0%AE'],
]
for (const [title, bytes, name, encoded] of cases) {
  t.equal(nameOf(bytes), name, title)
  t.same(Buffer.from(nativePath(name) as string), Buffer.from(bytes, 'latin1'), `${title}: and back`)
  t.equal(encodeName(name), encoded, `${title}: encoded`)
}

t.equal(nativePath('/a/ü'), '/a/ü', 'what is UTF-8 stays a string')
t.same(nativePath('/ü/\udcff/😀'), Buffer.from('/\xc3\xbc/\xff/\xf0\x9f\x98\x80', 'latin1'), 'segments of both kinds')
t.equal(encodeName('\ud83d'), '%EF%BF%BD', 'half a pair that is no byte')
