/** Tests of magic variables, with the values that uWSGI 2.0.21 gives. */

import t from 'tap'
import { replaceMagic } from '../../../../supervisor/config/ini/magic-variables.js'

const SCOPE = {
  file: { given: 'inc/site.prod.ini', absolute: '/srv/shop/inc/site.prod.ini', section: 'blue' },
  main: { given: 'shop.ini', absolute: '/srv/shop/shop.ini', section: '' },
  facts: { cwd: '/start', hostname: 'box', uid: 33, gid: 34, user: 'www', group: 'web', cores: 4 },
}

const cases: [text: string, expected: string][] = [
  ['%o %O', 'inc/site.prod.ini shop.ini'],
  ['%p %P', '/srv/shop/inc/site.prod.ini /srv/shop/shop.ini'],
  ['%d %D', '/srv/shop/inc/ /srv/shop/'],
  ['%s %S', 'site.prod.ini shop.ini'],
  ['%n %N', 'site.prod shop'],
  ['%e %E', 'ini ini'],
  ['%c %C', 'inc shop'],
  ['%x|%X', 'blue|'],
  ['%0 %1 %2 %3|', 'srv shop inc |'],
  ['%v %h %u %U %g %G %k', '/start box 33 www 34 web 4'],
  ['50%% %%d', '50% %d'],
  ['%(d) %%(d)', '%(d) %(d)'],
  ['none', 'none'],
]
for (const [text, expected] of cases) {
  t.test(text, async t => t.same(replaceMagic(text, SCOPE), { text: expected, unknown: [] }))
}

const unknown: [text: string, expected: string[]][] = [
  ['50%', ['%']],
  ['a%zb%', ['%z', '%']],
  ['%ä', ['%ä']],
  ['% d', ['% ']],
]
for (const [text, expected] of unknown) {
  t.test(`refuses ${text}`, async t => t.same(replaceMagic(text, SCOPE), { text, unknown: expected }))
}

t.test('a file in the root folder', async t => {
  const file = { given: '/x', absolute: '/x', section: '' }
  t.equal(replaceMagic('%d|%n|%e|%c|%0', { ...SCOPE, file }).text, '/|x|||')
})
