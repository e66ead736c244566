/** Tests `supervisor/proxies/in-flight-survey.ts`: the answers of all proxies as one list. */

import t from 'tap'
import { InFlightSurvey } from '../../../supervisor/proxies/in-flight-survey.js'

const request = (ageMs: number) => ({ method: 'GET', path: '/', ageMs, slot: 1 })
const proxies = (asked: number[]) =>
  [1, 2].map(proxyId => ({
    proxyId,
    send: (message: object) => void asked.push((message as { requestId: number }).requestId),
  }))

t.test('the oldest of all come first; who answers twice, or late, is not heard', async t => {
  const survey = new InFlightSurvey()
  const asked: number[] = []
  const answer = survey.ask(proxies(asked))
  const [id = 0] = asked
  survey.take(1, id, [request(5), request(1)])
  survey.take(1, id, [request(99)])
  survey.take(2, id + 1, [request(99)])
  survey.take(2, id, [request(3)])
  t.same(
    (await answer).map(({ ageMs }) => ageMs),
    [5, 3, 1],
  )
  survey.take(2, id, [request(99)])
})

t.test('a proxy that hangs is not waited for', async t => {
  const survey = new InFlightSurvey()
  const asked: number[] = []
  const answer = survey.ask(proxies(asked))
  survey.take(2, asked[0]!, [request(3)])
  t.equal((await answer).length, 1)
  t.same(await survey.ask([]), [])
})
