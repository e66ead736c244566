/**
 * The text of systemd units for daimyo, comments and all: printed by `daimyo systemd` for one INI, and as the templates
 * in `systemd/` (`daimyo help service`, `daimyo help socket`; a test compares). Pure.
 * Must stay true: what is printed passes `systemd-analyze verify`, is exposed by 3.0 at most (`systemd-analyze
 * security`), and lets the bundled application work; no value of a secret option gets in here.
 */

/** What differs between hosts. Times in whole seconds. */
export interface ServiceFacts {
  description: string
  /** Command lines, quoted. */
  execStart: string
  execReload: string
  user: string
  group: string | null
  /** Null: nothing depends on it. */
  workingDirectory: string | null
  /** Below /run. */
  runtimeDirectory: string
  /** Below /var/log; null: the log is elsewhere. */
  logsDirectory: string | null
  /** Below /var/lib. */
  stateDirectory: string
  /** Folders that may be written as a whole. */
  writable: readonly string[]
  descriptors: number
  startSeconds: number
  stopSeconds: number
  watchdogSeconds: number
  /** Programs or files lie in a home folder; in /tmp. */
  usesHome: boolean
  usesTmp: boolean
  bindsLowPorts: boolean
  /** Without these units the INI cannot be served. */
  sockets: readonly string[]
  /** Lines for the reader, printed first. */
  remarks: readonly string[]
}

/** What differs between socket units. */
export interface SocketFacts {
  description: string
  /** The unit that gets the socket; null: the one of the same name. */
  service: string | null
  /** FileDescriptorName=: `http = fd://name`. */
  name: string
  streams: readonly string[]
  user: string
  group: string | null
  mode: number
  backlog: number
  remarks: readonly string[]
}

/** A word of an `Exec…=` line: quoted if needed, with specifiers and variables escaped (systemd.service(5)). */
export function quoteWord(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  if (/^[\w@%+=:,./$-]+$/.test(plain)) return plain
  return `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** The service unit. */
export function serviceUnit(facts: ServiceFacts): string {
  return `${comments(facts.remarks)}[Unit]
Description=${facts.description}
# Addresses that the INI names must be there before they are bound.
Wants=network-online.target
After=network-online.target
${facts.sockets.map(unit => `# The INI takes its socket from there.\nRequires=${unit}\nAfter=${unit}\n`).join('')}\
# Tried again for ever: the default gives up after five starts in ten seconds, and an application whose database comes up a minute later
# would stay down.
StartLimitIntervalSec=0

[Service]
# "started" means that a worker answers, not that a process exists.
Type=notify
# Node cannot send datagrams on unix sockets: the message comes from the systemd-notify program, a child of the master.
NotifyAccess=all
ExecStart=${facts.execStart}
# Not "kill -HUP", and not Type=notify-reload: this one waits for the new workers and fails when the reload failed, so that systemctl reload
# tells the truth.
ExecReload=${facts.execReload}
# Else its lines in the journal are "node"'s.
SyslogIdentifier=daimyo
# The start and a reload, and the stop, ask for more time (EXTEND_TIMEOUT_USEC) for as long as they make progress.
TimeoutStartSec=${facts.startSeconds}
# reload-mercy, then the hooks at exit, then reload-mercy for daemons and cron jobs, and what the end takes besides.
TimeoutStopSec=${facts.stopSeconds}
# Fed while the master's loop turns and a worker answers: longer than harakiri and the start of the worker after it.
WatchdogSec=${facts.watchdogSeconds}

# SIGTERM goes to the master alone, which lets its workers finish what they do; whatever is left after TimeoutStopSec is killed.
KillMode=mixed
# Not "always": "daimyo stop" ends with 0 and means it.
Restart=on-failure
# A start costs some 0.4 CPU seconds: one that fails for ever is not to keep a core busy. From systemd 254 on RestartSteps=5 and
# RestartMaxDelaySec=1min make it ever slower.
RestartSec=3s
# A mistake in the INI (78) or on the command line (64), and what is not permitted (77), are not cured by trying again.
RestartPreventExitStatus=77 78 64
# A worker that the kernel's OOM killer takes is replaced by the master; the default would stop the whole unit.
OOMPolicy=continue

# Without privileges from the start. To let the master be root and drop privileges for its children instead (uid and gid in the INI), remove
# User, Group, AmbientCapabilities and the line "SystemCallFilter=~@privileged", and set CapabilityBoundingSet to CAP_NET_BIND_SERVICE
# CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_KILL CAP_DAC_OVERRIDE.
User=${facts.user}
${facts.group === null ? '' : `Group=${facts.group}\n`}${privileges(facts.bindsLowPorts)}
${facts.workingDirectory === null ? '' : `# Relative paths of the INI count from here.\nWorkingDirectory=${facts.workingDirectory.replaceAll('%', '%%')}\n`}\
# Where the sockets are, and where "daimyo status|reload|stop" look for a running master.
RuntimeDirectory=${facts.runtimeDirectory}
RuntimeDirectoryMode=0710
# For what the application keeps: /var/lib/${facts.stateDirectory}, also in its environment as STATE_DIRECTORY.
StateDirectory=${facts.stateDirectory}
StateDirectoryMode=0750
${facts.logsDirectory === null ? '' : `# Made for the log of the INI.\nLogsDirectory=${pathLine(facts.logsDirectory)}\nLogsDirectoryMode=0750\n`}\
# A client costs one descriptor, a WebSocket two; the default soft limit of 1024 is for programs that use select(2).
LimitNOFILE=${facts.descriptors}
UMask=0027
# A core of the application would be a file with its secrets in it.
LimitCORE=0

NoNewPrivileges=yes
# The whole file system is read-only but for the folders above and these. Add what your application writes.
ProtectSystem=strict
${facts.writable.length === 0 ? '#ReadWritePaths=/srv/site/uploads\n' : facts.writable.map(path => `ReadWritePaths=${pathLine(`-${path}`)}\n`).join('')}\
ProtectHome=${facts.usesHome ? 'read-only' : 'yes'}
PrivateTmp=${facts.usesTmp ? 'no' : 'yes'}
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# AF_NETLINK: os.networkInterfaces() asks the kernel through it.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
# @pkey: V8 protects its code pages with memory protection keys and is killed without them.
SystemCallFilter=@system-service @pkey
SystemCallFilter=~@privileged
${facts.bindsLowPorts ? '# The master starts its children without the capability above: capset(2) can only give up.\nSystemCallFilter=capset\n' : ''}\
# A call that is not in the list fails instead of killing the worker in the middle of its requests.
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute= is missing on purpose: V8 compiles at run time. ProcSubset=pid too: cpu figures need /proc/uptime.

[Install]
WantedBy=multi-user.target
`
}

/** A socket unit: systemd holds the listening sockets, so that a restart refuses nobody. */
export function socketUnit(facts: SocketFacts): string {
  const isUnix = facts.streams.some(stream => stream.startsWith('/'))
  return `${comments(facts.remarks)}[Unit]
Description=${facts.description}

[Socket]
${facts.streams.map(stream => `ListenStream=${stream.replaceAll('%', '%%')}\n`).join('')}\
# In the INI: the same address, or fd:// and this name.
FileDescriptorName=${facts.name}
${facts.service === null ? '' : `Service=${facts.service}\n`}\
# As "listen" in the INI; the kernel lowers it to net.core.somaxconn.
Backlog=${facts.backlog}
${isUnix ? `SocketUser=${facts.user}\n${facts.group === null ? '' : `SocketGroup=${facts.group}\n`}SocketMode=${printMode(facts.mode)}\nRemoveOnStop=yes\n` : ''}
[Install]
WantedBy=sockets.target
`
}

/** `systemd/daimyo@.service`: one INI for each instance, /etc/daimyo/NAME.ini. */
export const TEMPLATE_SERVICE: ServiceFacts = {
  remarks: [
    'daimyo under systemd, for the INI /etc/daimyo/NAME.ini. "daimyo systemd FILE.ini" prints a unit that is matched to an INI; this one has',
    'the defaults. To use it: put daimyo into /usr/local/bin, change User, and',
    '  cp daimyo@.service /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now daimyo@NAME',
    'Log lines go to the journal (journalctl -u daimyo@NAME) unless the INI sets logto.',
  ],
  description: 'daimyo application server, %i',
  execStart: '/usr/local/bin/daimyo /etc/daimyo/%i.ini',
  execReload: '/usr/local/bin/daimyo reload /etc/daimyo/%i.ini',
  user: 'www-data',
  group: 'www-data',
  workingDirectory: null,
  runtimeDirectory: 'daimyo/%i',
  logsDirectory: 'daimyo',
  stateDirectory: 'daimyo/%i',
  writable: [],
  descriptors: 65_536,
  startSeconds: 150,
  stopSeconds: 75,
  watchdogSeconds: 150,
  usesHome: false,
  usesTmp: false,
  bindsLowPorts: true,
  sockets: [],
}

/** `systemd/daimyo@.socket`. */
export const TEMPLATE_SOCKET: SocketFacts = {
  remarks: [
    'Sockets that outlive the service: while it restarts, clients wait instead of being refused. To use it beside daimyo@.service:',
    '  cp daimyo@.socket /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now daimyo@NAME.socket',
    'A name stands for all addresses of a unit; sockets with other names (metrics = fd://metrics) need a unit each, with',
    'Service=daimyo@NAME.service.',
  ],
  description: 'Sockets of daimyo, %i',
  service: null,
  name: 'http',
  streams: ['0.0.0.0:8080'],
  user: 'www-data',
  group: 'www-data',
  mode: 0o660,
  backlog: 1024,
}

function comments(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${lines.map(line => `# ${line.replace(/[\r\n]+/g, ' ')}\n`).join('')}\n`
}

function privileges(bindsLowPorts: boolean): string {
  if (!bindsLowPorts) return 'CapabilityBoundingSet=\n'
  return '# Ports below 1024.\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n'
}

function printMode(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

/** Outside `Exec…=` there are no variables, only specifiers. */
function pathLine(path: string): string {
  return quoteWord(path).replaceAll('$$', '$')
}
