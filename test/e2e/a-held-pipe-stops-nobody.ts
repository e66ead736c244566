/** A program of the application that holds the lock of its worker's standard output and of its channel, by splice(2), does not keep the master from an answer, a reload or its end. */

import { spawnSync } from 'node:child_process'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(120_000 * timeFactor)

/** splice(2) by its number. */
const SPLICE: Record<string, number> = { x64: 275, arm64: 76 }
const perl = spawnSync('perl', ['-MSocket', '-e', '1']).status !== 0 && 'perl (perl-base)'
const skip = perl || (SPLICE[process.arch] === undefined && 'a machine whose splice is not known here')

/** From a socket that has nothing to standard output, and from the channel to a socket that takes nothing. Ends after a minute. */
const HOLDER = `
use Socket; use Fcntl;
socketpair(my $empty, my $silent, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
socketpair(my $full, my $deaf, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
fcntl($full, F_SETFL, O_NONBLOCK);
1 while syswrite($full, "x" x 65536);
fcntl($full, F_SETFL, 0);
my $first = $$;
my $reads = fork;
alarm 60;
for (;;) {
  if ($reads) { syswrite(STDOUT, "held\\n"); syscall(${SPLICE[process.arch]}, fileno($empty), 0, 1, 0, 4096, 0) }
  else { getppid == $first or exit; syscall(${SPLICE[process.arch]}, 3, 0, fileno($full), 0, 4096, 0) }
  select(undef, undef, undef, 0.02);
}`

const app = `
const { spawn } = require('node:child_process')
require('node:http').createServer((request, response) => {
  if (request.url !== '/hold') return response.end(String(process.pid))
  const { pid } = spawn('perl', ['-e', ${JSON.stringify(HOLDER)}], { stdio: ['ignore', 1, 'ignore', 3], detached: true })
  response.end(String(pid))
}).listen(3000)`

t.test('the lock of a pipe', { skip }, async t => {
  const site = new WatchedSite(t, ['processes = 1'], { app })
  const running = await site.serve()
  const holder = Number((await ask(running.url, '/hold')).body)
  t.teardown(() => {
    if (isAlive(holder)) process.kill(holder, 'SIGKILL')
  })
  await until('it holds them', () => /^held/m.test(running.out()))
  const goesOn = (what: string) =>
    t.ok(isAlive(holder), `${what}, and it was not the end of the holder that was waited for`)
  t.match((await site.status()).workers, [{ phase: 'ready' }])
  goesOn('the master answers')
  t.match(await site.run('reload', site.ini), { code: 0 })
  goesOn('it reloads')
  t.match(await ask(running.url, '/'), { status: 200 })
  t.match(await site.end(running), { code: 0 })
  goesOn('it ends')
  process.kill(holder, 'SIGKILL')
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    // ESRCH.
    return false
  }
}
