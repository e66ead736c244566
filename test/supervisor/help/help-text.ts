/** Tests of the help: every option is in it, a word is explained whatever it is called elsewhere, and it fits a terminal. */

import t from 'tap'
import { acceptedKeys, optionNames, rowOf } from '../../../kit/options/options.js'
import { IGNORED_OPTIONS, REFUSED_OPTIONS } from '../../../kit/options/words/ignored-options.js'
import { explainWord, helpText, nearWord } from '../../../supervisor/help/help-text.js'

const help = helpText()

t.test('names every option', async t => {
  for (const name of optionNames()) t.match(help, new RegExp(`^ .*(?<![\\w-])${name}(?![\\w-])`, 'm'), name)
})

t.test('is short', async t => {
  const lines = help.split('\n')
  t.ok(lines.length <= 90, `${lines.length} lines`)
  t.same(
    lines.filter(line => line.length > 120),
    [],
  )
})

t.test('explains every key, with what its option takes', async t => {
  for (const name of optionNames()) {
    const text = explainWord(name)?.replace(/\s+/g, ' ') ?? ''
    const { default: otherwise, summary, kind } = rowOf(name)
    t.ok(text.startsWith(`--${name}`), name)
    t.ok(text.includes(summary.replace(/\s+/g, ' ')), `${name}: summary`)
    t.ok(text.includes(`accepted: ${kind.accepts}`), `${name}: accepted`)
    if (otherwise !== null) t.ok(text.includes(`default: \`${otherwise}\``), `${name}: default`)
  }
  for (const key of [...acceptedKeys(), ...Object.keys(REFUSED_OPTIONS)]) t.ok(explainWord(key), key)
  for (const [key, { why }] of Object.entries(IGNORED_OPTIONS)) t.match(explainWord(key), why, key)
})

t.test('explains other words', async t => {
  const cases: [title: string, word: string, expected: RegExp | null][] = [
    ['a value', 'harakiri', /^--harakiri SECONDS$/m],
    ['a switch', 'vacuum', /^--vacuum$/m],
    ['a value that may be left out', 'metrics', /^--metrics\[=ADDRESS\]$/m],
    ['more than once', 'http', /^--http ADDRESS {2}\(repeatable\)\n[\s\S]*also: `http-socket`/m],
    ['as on the command line', '--harakiri', /^--harakiri SECONDS$/m],
    ['an alias', 'workers', /^--processes N$/m],
    ['a command', 'reload', /^ {2}daimyo reload \[--no-wait\] \[INI\] [\s\S]* refused/m],
    ['one of two commands', 'resume', /^ {2}daimyo pause\|resume/m],
    ['the command that needs no name', 'run', /^ {2}daimyo \[run\]/m],
    [
      'a directive of nginx',
      'keepalive_timeout',
      /^nginx’s `keepalive_timeout` is here `http-keepalive`\n\n--http-keepalive/,
    ],
    ['a word of PM2', 'max_memory_restart', /^PM2’s .*\n\n--reload-on-rss/],
    ['a word without an option', 'ssl_certificate', /^nginx’s `ssl_certificate`: TLS is not served here/],
    ['a command of PM2', 'monit', /^monit is here `daimyo top`/],
    ['a part of names', 'cheaper-busyness', /^--cheaper-busyness-min\n {4}[\s\S]*--cheaper-busyness-penalty\n/],
    ['a word that options speak of', 'resident', /^--evil-reload-on-rss\n/m],
    ['not the middle of a word', 'ssi', null],
    [
      'a word of the trade',
      'drain',
      /^drain: a worker that is replaced [\s\S]*\n--worker-reload-mercy\n[\s\S]*\n--ws-mercy\n/,
    ],
    ['in other letters', 'SSE', /^SSE: event streams [\s\S]*\n--stream-mercy\n/],
    ['under another name', 'zero-downtime', /^zero-downtime: `daimyo reload` starts new workers/],
    ['what an option is called that does something else', 'listen', /^--listen N\n[\s\S]*\nlisten: .*`http = ADDRESS`/],
    [
      'before a word of a server',
      'timeout',
      /^timeout: Gunicorn’s `timeout` is here `harakiri`[\s\S]*\n--http-keepalive\n/,
    ],
    ['what is not here', 'preload', /^preload: each worker loads the application by itself[\s\S]*\n--lazy-apps\n/],
    ['what is pushed elsewhere', 'statsd', /^statsd: metrics are not pushed: [\s\S]*\n--metrics\n/],
    ['the cluster', 'cluster', /^cluster: the workers are the cluster: [\s\S]*\n--processes\n/],
    ['graceful', 'graceful', /^graceful: [\s\S]*`daimyo stop` answers[\s\S]*\n--reload-mercy\n/],
    ['without an option', 'tls', /^tls: TLS is not served here/],
    ['instances', 'instances', /^PM2’s `instances` is here `processes`/],
    ['upstream', 'upstream', /^nginx’s `upstream` is here `http-to`/],
    ['proxy_pass', 'proxy_pass', /^nginx’s `proxy_pass` is here `app` or `http-to`/],
    ['worker_connections', 'worker_connections', / is here `http-connections` or `worker-connections`/],
    ['another server', 'PM2', /^PM2: [\s\S]* max_memory_restart /],
    ['what a pattern means', '(x', null],
    ['nothing', 'banana', null],
    ['no word', '', null],
    ['what every object has', 'constructor', null],
  ]
  for (const [title, word, expected] of cases) {
    if (expected === null) t.equal(explainWord(word), null, title)
    else t.match(explainWord(word), expected, title)
  }
  t.match(nearWord('relaod'), /did you mean `reload`/)
})
