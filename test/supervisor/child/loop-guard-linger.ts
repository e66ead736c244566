/**
 * Tests `supervisor/child/loop-guard.ts` with a process that makes a connection of a listening socket of ours, fills it,
 * and sets a linger time.
 */

import { spawnSync } from 'node:child_process'
import * as net from 'node:net'
import t from 'tap'
import { guardLoop } from '../../../supervisor/child/loop-guard.js'

const LINGER_SECONDS = 30

/** Its descriptor 3 is the listening socket. Prints how many bytes it has queued, and the process that holds the peer. */
const SPOILER = `
  use Socket qw(:all);
  use Fcntl;
  socket(my $peer, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
  setsockopt($peer, SOL_SOCKET, SO_RCVBUF, pack("i", 4096));
  bind($peer, sockaddr_in(0, INADDR_LOOPBACK)) && listen($peer, 5) or die "listen: $!";
  open(my $shared, "+<&=", 3) or die "open: $!";
  shutdown($shared, 2) or die "shutdown: $!";
  fcntl($shared, F_SETFL, 0);
  connect($shared, getsockname($peer)) or die "connect: $!";
  fcntl($shared, F_SETFL, O_NONBLOCK);
  my $queued = 0;
  while (my $sent = send($shared, "x" x 65536, 0)) { $queued += $sent }
  setsockopt($shared, SOL_SOCKET, SO_LINGER, pack("ii", 1, ${LINGER_SECONDS})) or die "linger: $!";
  # The peer must stay: without it the bytes have nowhere to go.
  my $holder = fork();
  if ($holder == 0) { close($shared); close(STDOUT); close(STDERR); sleep ${LINGER_SECONDS}; exit }
  print "$queued $holder";
`

interface BoundHandle {
  fd: number
  listen(backlog: number): number
  close(callback?: () => void): void
}
const { _createServerHandle: createServerHandle } = net as unknown as {
  _createServerHandle: (address: string, port: number, type: number) => BoundHandle
}

const isLinux = process.platform === 'linux'

t.test('closes wait for no linger time that another process has set', { skip: !isLinux && 'Linux only' }, async t => {
  const stop = guardLoop({ log: () => {}, lookMs: 100 })
  t.teardown(stop)
  const handles = [1, 2].map(() => {
    const handle = createServerHandle('127.0.0.1', 0, 4)
    t.equal(handle.listen(5), 0)
    const { stdout, stderr } = spawnSync('perl', ['-e', SPOILER], {
      stdio: ['ignore', 'pipe', 'pipe', handle.fd],
      encoding: 'utf8',
    })
    const [queued = 0, peer = 0] = stdout.split(' ').map(Number)
    t.teardown(() => process.kill(peer, 'SIGKILL'))
    t.ok(queued > 65_536, `${queued} bytes are queued ${stderr}`)
    return handle
  })
  const sinceMs = performance.now()
  for (const handle of handles) handle.close()
  const tookMs = performance.now() - sinceMs
  t.ok(tookMs > 50, 'the kernel waits')
  t.ok(tookMs < (LINGER_SECONDS * 1000) / 2, `until the thread wakes the loop: ${Math.round(tookMs)} ms`)
})
