/** Tests of users and groups: names, numbers, and those that are not there. */

import t from 'tap'
import { accountName, findCredentials } from '../../../supervisor/user/accounts.js'

const ACCOUNTS = {
  passwd:
    'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:34:www:/var/www:/bin/false\n# ' +
    'comment\nbroken\n+::::\n12:x:77:78::/:\n',
  group: 'root:x:0:\nwww-data:x:34:\nadm:x:4:syslog,alice\n',
  uid: 0,
  gid: 0,
}

const www = { user: 'www-data', uid: 33, home: '/var/www', shell: '/bin/false' }
const root = { user: 'root', uid: 0, home: '/root', shell: '/bin/sh' }
const found: [title: string, uid: string | null, gid: string | null, value: object][] = [
  ['a user by name, with its primary group', 'www-data', null, { ...www, gid: 34 }],
  ['a user by number, with its primary group', '33', null, { ...www, gid: 34 }],
  ['a user and a group by name', 'www-data', 'adm', { ...www, gid: 4 }],
  ['numbers that nobody has', '5000', '6000', { user: null, uid: 5000, gid: 6000 }],
  ['a group alone: the user stays', null, 'adm', { ...root, gid: 4 }],
  ['a name of digits goes before the number; it has no shell', '12', null, { user: '12', uid: 77, gid: 78, home: '/' }],
]
for (const [title, uid, gid, value] of found) {
  t.test(title, async t => {
    t.same(findCredentials(uid, gid, ACCOUNTS), { ok: true, value })
  })
}

const refused: [title: string, uid: string | null, gid: string | null, option: string, message: RegExp][] = [
  [
    'no such user, with the nearest',
    'www-dta',
    null,
    'uid',
    /no such user: received www-dta: .* \(did you mean `www-data`\?\)/,
  ],
  [
    'no such group',
    'www-data',
    'banana',
    'gid',
    /no such group: received banana: accepted a name of \/etc\/group or a number$/,
  ],
  ['a number without group', '5000', null, 'uid', /give `gid` as well/],
  ['a number that means "no change"', '4294967295', '0', 'uid', /no such user/],
  ['a line that names nobody', '+', null, 'uid', /no such user/],
]
for (const [title, uid, gid, option, message] of refused) {
  t.test(title, async t => {
    const credentials = findCredentials(uid, gid, ACCOUNTS)
    t.equal(credentials.ok, false)
    if (credentials.ok) return
    t.equal(credentials.option, option)
    t.match(credentials.message, message)
  })
}

t.equal(accountName(33, ACCOUNTS.passwd), 'www-data')
t.equal(accountName(99, ACCOUNTS.passwd), '99')
