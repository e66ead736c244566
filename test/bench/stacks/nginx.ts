import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePorts } from '../../../bench/ask.js'
import { findExecutable } from '../../../bench/program.js'
import { nginx, nginxConf } from '../../../bench/stacks/nginx.js'

const bed = { folder: '/bed', port: 8080, sparePort: 8081, app: '/app.js', siteFolder: '/bed/site' }

t.test('nginxConf', t => {
  const text = nginxConf(bed, false)
  const lines: [string, string][] = [
    ['as many processes as daimyo has workers', 'worker_processes 2;'],
    [
      'keeps connections to both workers',
      'server unix:/bed/worker-1.sock;\n    server unix:/bed/worker-2.sock;\n    keepalive 64;',
    ],
    ['speaks HTTP/1.1 to them', 'proxy_http_version 1.1;\n      proxy_set_header Connection "";'],
    ['writes an access log', 'access_log access.log combined;'],
    ['listens on loopback only', 'listen 127.0.0.1:8080;'],
    ['serves the files', 'alias /bed/site/;'],
  ]
  for (const [title, line] of lines) t.match(text, line, title)
  t.notMatch(text, 'user ', 'nobody but root may name a user')
  t.ok(nginxConf(bed, true).startsWith('user root;\n'), 'as root')
  t.end()
})

t.test('nginx is started last, on files of its own', t => {
  const { programs, url } = nginx.plan(bed)
  t.equal(url, 'http://127.0.0.1:8080')
  t.strictSame(
    programs.map(({ name }) => name),
    ['nginx worker 1', 'nginx worker 2', 'nginx'],
  )
  t.strictSame(
    programs.map(({ env }) => env.PORT),
    ['/bed/worker-1.sock', '/bed/worker-2.sock', undefined],
  )
  t.strictSame(programs[2]?.args, ['-p', '/bed/', '-e', '/bed/error.log', '-c', '/bed/nginx.conf'])
  t.end()
})

const program = findExecutable('nginx')
t.test('nginx accepts it', { skip: program === null && 'install the Debian package nginx' }, async t => {
  const folder = t.testdir()
  const [port = 0] = await freePorts(1)
  const conf = join(folder, 'nginx.conf')
  writeFileSync(conf, nginxConf({ ...bed, folder, port }, process.geteuid?.() === 0))
  const { status, stderr } = spawnSync(
    program ?? '',
    ['-t', '-p', `${folder}/`, '-e', join(folder, 'error.log'), '-c', conf],
    { encoding: 'utf8' },
  )
  t.equal(status, 0, stderr)
  t.notMatch(stderr, /\[(warn|emerg|alert)\]/)
})
