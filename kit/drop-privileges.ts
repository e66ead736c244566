/**
 * Becoming the service's user. Children call it first of all, before they open a file of the application's or a socket.
 */

import type { Credentials } from './messages.js'

/**
 * Becomes `credentials` for good, with the user's supplementary groups and no others. Does nothing unless this process is root.
 * A user without an entry in the group database has none. Throws the system's error (EPERM).
 */
export function dropPrivileges(credentials: Credentials | null): void {
  if (credentials === null || process.getuid?.() !== 0) return
  // Groups before uid: afterwards neither may be changed.
  if (credentials.user === null) process.setgroups?.([])
  else process.initgroups?.(credentials.user, credentials.gid)
  process.setgid?.(credentials.gid)
  process.setuid?.(credentials.uid)
}
