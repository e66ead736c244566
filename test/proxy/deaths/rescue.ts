/** Who is sent to another worker after a death: every combination of what is known. */

import t from 'tap'
import { type Orphan, type Verdict, verdictOn, verdictOnForeign } from '../../../proxy/deaths/rescue.js'

const FRESH: Orphan = { method: 'GET', responseBegun: false, seen: false, replayable: true, attempts: 1, end: null }

t.test('decides', async t => {
  const cases: [title: string, orphan: Partial<Orphan>, expected: Verdict][] = [
    ['GET', {}, 'again'],
    ['HEAD', { method: 'HEAD' }, 'again'],
    ['PUT with its body', { method: 'PUT' }, 'again'],
    ['GET the second time', { attempts: 2 }, 'ask'],
    ['GET of two workers, the second crashed', { attempts: 2, end: 'crashed' }, 'give-up'],
    ['GET of two workers, the second stopped', { attempts: 2, end: 'asked' }, 'give-up'],
    ['GET of two workers, the second killed', { attempts: 2, end: 'killed' }, 'again'],
    ['HEAD of nine workers, all killed', { method: 'HEAD', attempts: 9, end: 'killed' }, 'again'],
    ['GET of workers that are killed, not for ever', { attempts: 10, end: 'killed' }, 'give-up'],
    ['GET once, crashed', { end: 'crashed' }, 'again'],
    ['PUT of two workers, the second killed', { method: 'PUT', attempts: 2, end: 'killed' }, 'give-up'],
    ['DELETE the second time', { method: 'DELETE', attempts: 2 }, 'give-up'],
    ['GET whose answer has begun', { responseBegun: true }, 'break'],
    ['POST whose answer has begun', { method: 'POST', seen: true, responseBegun: true }, 'break'],
    ['answer begun and body gone', { responseBegun: true, replayable: false }, 'break'],
    ['PUT whose body was let go', { method: 'PUT', replayable: false }, 'give-up'],
    ['POST unseen', { method: 'POST' }, 'again'],
    ['POST unseen, after deaths', { method: 'POST', attempts: 9 }, 'again'],
    ['POST unseen, not for ever', { method: 'POST', attempts: 10 }, 'give-up'],
    ['POST unseen whose body was let go', { method: 'POST', replayable: false }, 'give-up'],
    ['POST seen', { method: 'POST', seen: true }, 'give-up'],
    ['PATCH seen', { method: 'PATCH', seen: true }, 'give-up'],
    ['unknown method seen', { method: 'PROPFIND', seen: true }, 'give-up'],
  ]
  for (const [title, orphan, expected] of cases) t.equal(verdictOn({ ...FRESH, ...orphan }), expected, title)
})

t.test('nothing that the application saw and that is not idempotent is ever sent again', async t => {
  for (const method of ['POST', 'PATCH', 'LOCK', 'get', '']) {
    for (const responseBegun of [true, false]) {
      for (const replayable of [true, false]) {
        for (let attempts = 0; attempts < 8; attempts++) {
          t.not(verdictOn({ method, responseBegun, seen: true, replayable, attempts, end: 'killed' }), 'again')
        }
      }
    }
  }
})

t.test('a foreign upstream that failed', async t => {
  const cases: [title: string, orphan: Partial<Orphan & { unseenAttempts: number }>, expected: Verdict][] = [
    ['GET unseen', { attempts: 0, unseenAttempts: 1 }, 'again'],
    ['GET unseen, after a seen one', { attempts: 1, unseenAttempts: 1 }, 'again'],
    ['GET unseen, not for ever', { attempts: 0, unseenAttempts: 5 }, 'give-up'],
    ['POST unseen', { method: 'POST', attempts: 0, unseenAttempts: 4 }, 'again'],
    ['unseen whose body was let go', { method: 'PUT', attempts: 0, replayable: false }, 'give-up'],
    ['GET seen', { seen: true, unseenAttempts: 3 }, 'again'],
    ['GET seen twice', { seen: true, attempts: 2 }, 'give-up'],
    ['POST seen', { method: 'POST', seen: true }, 'give-up'],
    ['begun', { responseBegun: true }, 'break'],
  ]
  for (const [title, orphan, expected] of cases) {
    t.equal(verdictOnForeign({ ...FRESH, unseenAttempts: 0, ...orphan }), expected, title)
  }
})
