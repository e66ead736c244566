/** `supervisor/user/user-mounts.ts`: which mounts are another user's, and what a device number says. */

import t from 'tap'
import { userMounts, whyUserMount } from '../../../supervisor/user/user-mounts.js'

const MOUNTINFO = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:25 / /run rw,nosuid - tmpfs tmpfs rw,size=1000k
31 22 0:40 / /srv/with\\040space rw,nosuid,nodev - fuse.sshfs host: rw,user_id=33,group_id=33
32 22 0:41 / /srv/roots rw - fuse.sshfs host: rw,user_id=0,group_id=0,allow_other
33 22 0:42 / /data rw - btrfs /dev/vdb rw
34 22 1048:300000 / /far rw - fuse.x x rw,user_id=33
`
const read = () => MOUNTINFO
const device = (major: number, minor: number) =>
  Number((BigInt(minor) & 0xffn) | ((BigInt(major) & 0xfffn) << 8n) | ((BigInt(minor) & 0xffffff00n) << 12n))

t.test('the mounts of others', async t => {
  t.same(
    [...userMounts(read)],
    [
      ['/srv/with space', '/srv/with space is a file system of www-data'],
      ['/far', '/far is a file system of www-data'],
    ],
  )
  t.same([...userMounts(() => '')], [])
})

const cases: [title: string, path: string, device: number, expected: RegExp | null][] = [
  ['on the disk', '/srv/site', device(254, 1), null],
  ['in the memory of root', '/run/site', device(0, 25), null],
  ['in what a user has mounted', '/srv/with space/x', device(0, 40), /is a file system of www-data$/],
  ['in what root has mounted', '/srv/roots/x', device(0, 41), null],
  ['in a subvolume', '/data/volume/x', device(0, 77), null],
  [
    'in what was there a moment ago',
    '/srv/site/x',
    device(0, 99),
    /^\/srv\/site\/x lay in a file system that is gone$/,
  ],
  ['with a large device number', '/far/x', device(1048, 300_000), /^\/far is a file system of www-data$/],
]
for (const [title, path, number, expected] of cases) {
  t.test(title, async t => {
    const why = whyUserMount(path, number, read)
    if (expected === null) t.equal(why, null)
    else t.match(why, expected)
  })
}

t.test('no /proc', async t =>
  t.equal(
    whyUserMount('/srv/site', 1, () => ''),
    null,
  ),
)
