/** Which path a target means, and which targets mean none. */

import t from 'tap'
import { looseReadings, routingPath } from '../../../proxy/http/target-path.js'

const CASES: [title: string, input: string, expected: string | null][] = [
  ['the root', '/', '/'],
  ['a plain path', '/a/b-c_d~e.html', '/a/b-c_d~e.html'],
  ['a folder', '/a/b/', '/a/b/'],
  ['punctuation', '/a;b=c,d:e@f!$&\'()*+[]{}|^`"<>', '/a;b=c,d:e@f!$&\'()*+[]{}|^`"<>'],
  ['a query', '/a?b=c', '/a'],
  ['a query alone', '/?b', '/'],
  ['an empty query', '/a?', '/a'],
  ['anything in the query', '/a?/../%zz%00\\//', '/a'],
  ['an encoded question mark', '/a%3Fb?c', '/a?b'],
  ['an encoded space', '/a%20b', '/a b'],
  ['an encoded hash', '/a%23b', '/a#b'],
  ['an encoded letter', '/%61dmin', '/admin'],
  ['UTF-8', '/b%C3%BCcher/%e2%82%ac/%F0%9F%98%80', '/bücher/€/😀'],
  ['a percent sign', '/100%25', '/100%'],
  ['double encoding is decoded once', '/%252e%252e/%252f', '/%2e%2e/%2f'],
  ['a double slash', '//a//b', '/a/b'],
  ['slashes only', '///', '/'],
  ['a double slash at the end', '/a//', '/a/'],
  ['what could be an authority', '//evil.example/b', '/evil.example/b'],
  ['a dot', '/a/./b', '/a/b'],
  ['a dot at the end', '/a/.', '/a/'],
  ['a dot alone', '/.', '/'],
  ['dots', '/a/../b', '/b'],
  ['dots at the end', '/a/b/..', '/a/'],
  ['dots to the root', '/a/..', '/'],
  ['dots to the root and a slash', '/a/../', '/'],
  ['encoded dots that leave a mount', '/api/%2E%2E/', '/'],
  ['half-encoded dots', '/api/.%2e/x', '/x'],
  ['several', '/a/b/../../c/./d', '/c/d'],
  ['dots after a double slash and a name', '/a//b/../c', '/a/c'],
  ['three dots', '/a/.../b', '/a/.../b'],
  ['a dotfile', '/.git/config', '/.git/config'],
  ['a name that ends with dots', '/a../b', '/a../b'],
  ['a name that begins with dots', '/..a/b', '/..a/b'],
  ['dots with a parameter', '/a/..;/b', '/a/..;/b'],
  ['dots and a space', '/a/..%20/b', '/a/.. /b'],
  ['a name that JavaScript knows', '/__proto__', '/__proto__'],

  ['nothing', '', null],
  ['asterisk-form', '*', null],
  ['absolute-form', 'http://a/', null],
  ['no slash', 'a/b', null],
  ['a query without path', '?a', null],
  ['above the root', '/..', null],
  ['above the root and back', '/../a', null],
  ['above the root later', '/a/../../b', null],
  ['above the root, encoded', '/%2e%2e/etc/passwd', null],
  ['above the root, half encoded', '/a/%2e./.%2E/b', null],
  ['dots out of an empty segment', '/a//../b', null],
  ['dots out of an empty segment, by a dot', '/a//./../b', null],
  ['dots out of an empty first segment', '//../b', null],
  ['an encoded slash', '/a%2fb', null],
  ['an encoded slash between dots', '/a/..%2Fb', null],
  ['an encoded backslash', '/a%5cb', null],
  ['an encoded backslash after dots', '/..%5C..%5C', null],
  ['a backslash', '/a\\b', null],
  ['a backslash after dots', '/..\\', null],
  ['NUL', '/a%00.html', null],
  ['a raw NUL', '/a\0', null],
  ['an encoded line feed', '/a%0ab', null],
  ['an encoded escape', '/a%1Bb', null],
  ['an encoded DEL', '/a%7f', null],
  ['an encoded C1 control character', '/a%C2%85b', null],
  ['a raw space', '/a b', null],
  ['a raw hash', '/a#b', null],
  ['a raw letter that is not ASCII', '/b\xfccher', null],
  ['a percent sign at the end', '/a%', null],
  ['one digit', '/a%4', null],
  ['no digits', '/a%zz', null],
  ['one digit before a letter', '/a%4g', null],
  ['a percent sign before an escape', '/%%41', null],
  ['IIS escapes', '/%u002e', null],
  ['latin1', '/b%FCcher', null],
  ['UTF-8 that is cut', '/%C3', null],
  ['a lone continuation', '/%BC', null],
  ['an overlong dot', '/%C0%AE%C0%AE/', null],
  ['an overlong slash', '/..%C0%AFx', null],
  ['an overlong slash of three bytes', '/..%E0%80%AFx', null],
  ['an overlong NUL', '/a%C0%80', null],
  ['a surrogate', '/%ED%A0%80', null],
  ['beyond Unicode', '/%F4%90%80%80', null],
]

t.test('cases', async t => {
  for (const [title, input, expected] of CASES) t.equal(routingPath(input), expected, title)
})

t.test('every single byte, raw and encoded', async t => {
  for (let code = 0; code < 256; code++) {
    const byte = String.fromCharCode(code)
    const hex = code.toString(16).padStart(2, '0')
    const isPrintable = code > 32 && code < 127
    const raw = routingPath(`/a${byte}b`)
    if (byte === '?') t.equal(raw, '/a')
    else t.equal(raw, isPrintable && !'#%\\'.includes(byte) ? `/a${byte}b` : null, `raw ${hex}`)
    const decoded = code >= 32 && code < 127 && !'/\\'.includes(byte) ? `/a${byte}b` : null
    t.equal(routingPath(`/a%${hex}b`), decoded, `encoded ${hex}`)
  }
})

t.test('whatever is returned has the promised form, and is found again by encoding it', async t => {
  const pieces = ['/', '//', '.', '..', 'a', '%2e', '%2E%2E', '%25', '%2f', '%41', '%C3%BC', '?', '..a', '%', '\\', ' ']
  let paths = 0
  for (const first of pieces) {
    for (const second of pieces) {
      for (const third of pieces) {
        for (const fourth of pieces) {
          const target = `/${first}${second}${third}${fourth}`
          const path = routingPath(target)
          if (path === null) continue
          paths++
          const encoded = path.split('/').map(encodeURIComponent).join('/')
          const isCanonical = path.startsWith('/') && !/[\\\0-\x1f\x7f]|\/\/|\/\.\.?(?:\/|$)/.test(path)
          if (!isCanonical || routingPath(encoded) !== path) t.fail('not canonical', { target, path })
        }
      }
    }
  }
  t.ok(paths > 10_000, `${paths} paths`)
})

t.test('takes linear time', async t => {
  const long = 1024 * 1024
  for (const piece of ['/', '/.', '/a/..', '%41', '/%2e', '.', 'a', '%', '//..']) routingPath(`/${piece.repeat(long)}`)
  t.pass('done')
})

const LOOSE: [title: string, input: string, kept: string, undone: string, name: string | null][] = [
  ['an encoded slash', '/@scope%2Fname', '/@scope%2Fname', '/@scope/name', null],
  ['the rest is decoded', '/b%C3%BCcher/a%2fb%20c/%61/', '/bücher/a%2fb%20c/a/', '/bücher/a/b c/a/', null],
  ['an encoded backslash', '/a%5Cb', '/a%5Cb', '/a/b', '/a\\b'],
  ['a control character', '/a%0Ab/c%2Fd', '/a%0Ab/c%2Fd', '/a%0Ab/c/d', null],
  ['control characters and more', '/%C3%BC/a%0A%C3%BC%7f/', '/ü/a%0A%C3%BC%7f/', '/ü/a%0A%C3%BC%7f/', '/ü/a\nü\x7f/'],
  ['a control character of ISO 8859', '/a%C2%80', '/a%C2%80', '/a%C2%80', '/a\x80'],
  ['no UTF-8', '/q/%E9', '/q/%E9', '/q/%E9', '/q/\udce9'],
  ['no UTF-8 behind some', '/%C3%BC%E9/%C3%BC', '/%C3%BC%E9/ü', '/%C3%BC%E9/ü', '/\udcc3\udcbc\udce9/ü'],
  ['the query is nobody’s path', '/a%2Fb?c=%2F..', '/a%2Fb', '/a/b', null],
  ['empty segments', '//a%2F%2Fb//', '/a%2F%2Fb/', '/a/b/', null],
  ['empty segments about a name', '//a%5Cb//', '/a%5Cb/', '/a/b/', '/a\\b/'],
  ['a slash at the end', '/a%2F', '/a%2F', '/a/', null],
]

for (const [title, input, kept, undone, name] of LOOSE) {
  t.equal(routingPath(input), null, title)
  t.same(looseReadings(input), { kept, undone, name }, title)
}

for (const input of [
  '/a%2F..%2Fb',
  '/a%5C..%5Cb',
  '/..%5Cb',
  '/a%0A/../b',
  '/a%2F../b',
  '/../a%2Fb',
  '/a%2F%2e%2e/b',
  '/a%5C.%2fb',
  '/a%2F.',
  '/a%2Fb/%zz',
  '/a%00b',
  '/a%2Fb%2',
  '/a\\b',
  '*',
  'a%2Fb',
  '',
]) {
  t.equal(looseReadings(input), null, `not even loosely: ${input}`)
}
