import t from 'tap'
import { errorResponse } from '../../../proxy/http/error-response.js'
import { ErrorPages } from '../../../proxy/response/error-pages.js'
import { request } from '../fixtures/raw-client.js'
import { withRig } from '../fixtures/rig.js'

const BUSY = '<h1>Später wieder</h1>'

t.test('a page stands for its statuses', async t => {
  const pages = new ErrorPages([
    { statuses: [404], file: '/srv/old.html', text: 'old' },
    { statuses: [502, 503], file: '/srv/busy.html', text: BUSY },
    { statuses: [404], file: '/srv/404.json', text: '{}' },
    { statuses: [403], file: '/srv/page', text: 'x' },
    { statuses: [400], file: '/srv/page.svg', text: '<svg/>' },
  ])
  t.same(pages.dress(errorResponse('queue-full')), {
    status: 503,
    fields: [
      ['Content-Type', 'text/html; charset=utf-8'],
      ['Retry-After', '1'],
    ],
    body: BUSY,
  })
  t.match(pages.dress(errorResponse('not-found')), {
    fields: [['Content-Type', 'application/json; charset=utf-8']],
    body: '{}',
  })
  t.match(pages.dress(errorResponse('forbidden')), { fields: [['Content-Type', 'text/plain; charset=utf-8']] })
  t.match(pages.dress(errorResponse('bad-path')), { fields: [['Content-Type', 'image/svg+xml; charset=utf-8']] })
  t.same(pages.dress(errorResponse('deadline')), errorResponse('deadline'), 'others stay as they are')
})

t.test('clients get the page with the right length, and HEAD only its head', async t => {
  const settings = {
    errorPage: [{ statuses: [404, 400, 502], file: '/srv/e.html', text: BUSY }],
    routes: [{ kind: 'app', prefix: '/app' } as const],
  }
  await withRig(
    t,
    {
      settings,
      workers: [
        (asked, response) => (asked.url === '/app' ? void asked.socket.destroy() : response.writeHead(404).end('own')),
      ],
    },
    async rig => {
      const client = await rig.client()
      for (const [title, text, status, body] of [
        ['no route', request('GET', '/none'), 404, BUSY],
        ['HEAD', request('HEAD', '/none'), 404, ''],
        ['the application failed', request('GET', '/app'), 502, BUSY],
        ['the application’s own', request('GET', '/app/x'), 404, 'own'],
        ['a refused head', 'GET / HTTP/1.1\r\n\r\n', 400, BUSY],
      ] as const) {
        client.send(text)
        const answer = await client.answer(text.startsWith('HEAD'))
        t.match({ ...answer, body: answer.body.toString() }, { status, body, whole: true }, title)
        if (body === BUSY) t.equal(answer.fields['content-type'], 'text/html; charset=utf-8', title)
      }
      await client.closed
      await rig.expectLines(5)
      const [page = 0, ofHead, failed] = rig.log.entries.map(({ sentBytes }) => sentBytes)
      t.same([page, ofHead, failed], [Buffer.byteLength(BUSY), 0, page], 'the log has the bytes that were sent')
      rig.lifecycle.apply({ ...rig.settings, errorPage: [{ statuses: [404], file: '/srv/e.txt', text: 'new' }] })
      const next = await rig.client()
      next.send(request('GET', '/none'))
      t.match((await next.answer()).body.toString(), 'new', 'a new configuration brings new pages')
      await rig.expectLines(6)
    },
  )
})
