/** Tests `supervisor/user/room-left.ts`: a file system without room is named, with what it lacks and the remedy. */

import t from 'tap'
import { findNoRoom } from '../../../supervisor/user/room-left.js'

const figures = { blocks: 100, bavail: 5, files: 50, ffree: 5 }
const cases: [title: string, error: string, figures: typeof figures | null, why: RegExp | null][] = [
  [
    'inodes',
    "touch: cannot touch '/r/p': No space left on device",
    { ...figures, ffree: 0 },
    /: all of its 50 inodes \(files\) are taken$/,
  ],
  ['blocks', 'ENOSPC: no space left on device, write', { ...figures, bavail: 0 }, /: all of its 100 blocks are taken$/],
  ['both', 'listen ENOSPC: no space left', { ...figures, bavail: 0, ffree: 0 }, /50 inodes .*, all of its 100 blocks/],
  ['room has come back', 'listen ENOSPC: no space left', figures, /: there was no room at that moment$/],
  ['inodes are not counted', 'listen ENOSPC: x', { ...figures, files: 0, ffree: 0 }, /at that moment$/],
  ['a quota', 'EDQUOT: disk quota exceeded, open', figures, /^the quota on the file system of run-dir is used up/],
  ['it cannot be looked at', 'ENOSPC: no space', null, /: there is no room$/],
  ['something else', 'EACCES: permission denied', { ...figures, ffree: 0 }, null],
]
for (const [title, error, found, why] of cases) {
  t.test(title, async t => {
    const noRoom = findNoRoom('/r', error, () => found)
    if (why === null) return void t.equal(noRoom, null)
    t.match(noRoom, { why, remedy: /df -i \/r; .*\/r\/workers\), or set run-dir/ })
    t.equal(noRoom?.isSeen, / are taken$/.test(noRoom?.why ?? ''))
    t.match(noRoom?.why, /of run-dir is used up: \/r: /)
  })
}
