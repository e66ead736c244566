/** The Forwarded field: what is read, what is refused, what is printed. */

import t from 'tap'
import { type ForwardedElement, printForwarded, readForwarded } from '../../../proxy/route/forwarded-element.js'

const element = (said: Partial<ForwardedElement>): ForwardedElement => ({ for: null, host: null, proto: null, ...said })

t.test('reads', async t => {
  const cases: [value: string, expected: ForwardedElement[] | null][] = [
    ['for=192.0.2.1', [element({ for: '192.0.2.1' })]],
    ['For="[2001:db8::1]:47011"', [element({ for: '[2001:db8::1]:47011' })]],
    [
      'for=192.0.2.1;proto=https;by=203.0.113.43;host="a:1"',
      [element({ for: '192.0.2.1', proto: 'https', host: 'a:1' })],
    ],
    ['for=a, for=b', [element({ for: 'a' }), element({ for: 'b' })]],
    ['for=a,for=b ; proto=http', [element({ for: 'a' }), element({ for: 'b', proto: 'http' })]],
    ['for="a,b;c\\"d"', [element({ for: 'a,b;c"d' })]],
    ['secret=x', [element({})]],
    ['', null],
    [',', null],
    ['for', null],
    ['for=', null],
    ['=a', null],
    ['for=a;', null],
    ['for=a;for=b', null],
    ['for="a', null],
    ['for="a"b', null],
    ['for=a b', null],
    ['for=[::1]', null],
    [`for="${'\\"'.repeat(5000)}`, null],
  ]
  for (const [value, expected] of cases) t.same(readForwarded(value), expected, value.slice(0, 40) || 'empty')
})

t.test('prints what it reads', async t => {
  const cases: [address: string, proto: string, host: string, expected: string][] = [
    ['192.0.2.1', 'http', 'a.example', 'for=192.0.2.1;proto=http;host=a.example'],
    ['2001:db8::1', 'https', 'a:8080', 'for="[2001:db8::1]";proto=https;host="a:8080"'],
    ['::1', 'http', '', 'for="[::1]";proto=http'],
  ]
  for (const [address, proto, host, expected] of cases) {
    const printed = printForwarded(address, proto, host)
    t.equal(printed, expected)
    t.equal(readForwarded(printed)?.length, 1)
  }
})
