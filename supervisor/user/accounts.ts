/**
 * Turns `uid` and `gid` into the ids that children switch to, and `chown-socket` into the owner of sockets. The source
 * is the lines of /etc/passwd and /etc/group: Node has no getpwnam(3), and daimyo has no native code. Users of other
 * directories (LDAP) are given by number. Pure.
 */

import type { Credentials } from '../../kit/channel/messages.js'
import type { NamedOwner } from '../../kit/options/values/value-types.js'
import { didYouMean, nearestName } from '../../kit/options/words/nearest-name.js'

/** `chown-socket`. `gid` null: the socket keeps the group that it has without this option. */
export interface SocketOwner {
  uid: number
  gid: number | null
}

/** The text of the two files, and the ids of this process. */
export interface Accounts {
  passwd: string
  group: string
  uid: number
  gid: number
}

/** `option`: the option that is wrong. */
export type FoundCredentials = { ok: true; value: Credentials } | { ok: false; option: 'uid' | 'gid'; message: string }

interface Account {
  name: string
  id: number
  /** The primary group of a user. -1: unknown. */
  gid: number
  /** Only for a user with an entry. */
  home?: string
  shell?: string
}

/** The field of passwd(5) with the primary group. */
const PASSWD_GID = 3

/** Linux keeps the highest id for "no change" (setresuid(2)). */
const HIGHEST_ID = 4_294_967_294

/** The credentials that `uid` and `gid` name. Each is a name or a number, and at least one is given. */
export function findCredentials(uid: string | null, gid: string | null, accounts: Accounts): FoundCredentials {
  const users = readAccounts(accounts.passwd, PASSWD_GID)
  const user = uid === null ? ownAccount(users, accounts) : findAccount(uid, users)
  if (user === null) return refuse('uid', 'user', uid ?? '', users)
  if (gid === null) {
    const isUnknown = user.gid === -1
    if (!isUnknown) return { ok: true, value: credentialsOf(user, user.gid) }
    return {
      ok: false,
      option: 'uid',
      message: `uid: user ${uid} is not in /etc/passwd, so its group is not known: give \`gid\` as well`,
    }
  }
  const groups = readAccounts(accounts.group, -1)
  const group = findAccount(gid, groups)
  if (group === null) return refuse('gid', 'group', gid, groups)
  return { ok: true, value: credentialsOf(user, group.id) }
}

function credentialsOf({ name, id, home, shell }: Account, gid: number): Credentials {
  return { user: name || null, uid: id, gid, ...(home && { home }), ...(shell && { shell }) }
}

/** The ids that `chown-socket` names. */
export function findOwner(
  { user, group }: NamedOwner,
  accounts: Pick<Accounts, 'passwd' | 'group'>,
): { ok: true; value: SocketOwner } | { ok: false; message: string } {
  const users = readAccounts(accounts.passwd, -1)
  const groups = readAccounts(accounts.group, -1)
  const uid = findAccount(user, users)?.id
  const gid = group === null ? null : findAccount(group, groups)?.id
  if (uid === undefined) return { ok: false, message: noSuch('chown-socket', 'user', user, users) }
  if (gid === undefined) return { ok: false, message: noSuch('chown-socket', 'group', group ?? '', groups) }
  return { ok: true, value: { uid, gid } }
}

/** The name of a user or group, for `%U` and `%G`. Without a name: the id itself. */
export function accountName(id: number, lines: string): string {
  return readAccounts(lines, -1).find(account => account.id === id)?.name ?? String(id)
}

function ownAccount(users: Account[], { uid, gid }: Accounts): Account {
  return users.find(user => user.id === uid) ?? { name: '', id: uid, gid }
}

/** A number need not be in the file. Then it has no name, and its group is unknown (-1). */
function findAccount(given: string, accounts: Account[]): Account | null {
  const named = accounts.find(account => account.name === given)
  if (named !== undefined) return named
  if (!/^\d+$/.test(given) || Number(given) > HIGHEST_ID) return null
  return accounts.find(account => account.id === Number(given)) ?? { name: '', id: Number(given), gid: -1 }
}

function refuse(option: 'uid' | 'gid', what: 'user' | 'group', given: string, known: Account[]): FoundCredentials {
  return { ok: false, option, message: noSuch(option, what, given, known) }
}

function noSuch(option: string, what: 'user' | 'group', given: string, known: Account[]): string {
  const names = known.map(account => account.name)
  const hint = didYouMean(nearestName(given, names))
  return `${option}: no such ${what}: received ${given}: accepted a name of /etc/${what === 'user' ? 'passwd' : 'group'} or a number${hint}`
}

/** `name:x:id:…`, the format of passwd(5) and group(5). */
function readAccounts(lines: string, gidField: number): Account[] {
  const accounts: Account[] = []
  for (const line of lines.split('\n')) {
    const fields = line.split(':')
    const [name = '', , id = ''] = fields
    const gid = fields[gidField] ?? ''
    if (name === '' || name.startsWith('#') || !/^\d+$/.test(id)) continue
    const account = { name, id: Number(id), gid: /^\d+$/.test(gid) ? Number(gid) : -1 }
    accounts.push(gidField === PASSWD_GID ? { ...account, home: fields[5] ?? '', shell: fields[6] ?? '' } : account)
  }
  return accounts
}
