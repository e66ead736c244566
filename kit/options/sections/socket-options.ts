/**
 * The rows of the option table that say who may use the public unix sockets, and their kinds. A part of
 * `front-options.ts`; `options.ts` explains a row.
 */

import type { Kind } from '../kinds/option-kinds.js'
import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import type { NamedOwner } from '../values/value-types.js'

/** The bare key is uWSGI's "for lazy and brave users". */
const EVERYBODY = 0o666

/** Octal digits, as chmod(1) writes them; without any bits but those of permission. */
const socketMode: Kind<number> = {
  symbol: 'MODE',
  accepts: 'three octal digits such as 660, with or without a 0 before them, or the bare key for 666',
  parse(text) {
    if (['', '1', 'true'].includes(text)) return { ok: true, value: EVERYBODY }
    return /^0?[0-7]{3}$/.test(text) ? { ok: true, value: Number.parseInt(text, 8) } : { ok: false, hint: null }
  },
  print: value => value.toString(8).padStart(3, '0'),
  isSwitch: true,
}

const owner: Kind<NamedOwner> = {
  symbol: 'USER[:GROUP]',
  accepts: 'USER or USER:GROUP, each a name or a number',
  parse(text, context) {
    const [user = '', ...groups] = text.split(':')
    const isUser = kind.account('user').parse(user, context).ok
    const isGroup = groups.length === 0 || kind.account('group').parse(groups.join(':'), context).ok
    return isUser && isGroup ? { ok: true, value: { user, group: groups[0] ?? null } } : { ok: false, hint: null }
  },
  print: ({ user, group }) => (group === null ? user : `${user}:${group}`),
}

const socket = { section: 'front', default: null, takesEffect: 'restart' } as const

export const SOCKET_OPTIONS = {
  'chmod-socket': {
    ...socket,
    aliases: ['chmod'],
    kind: socketMode,
    replaces: { uwsgi: 'chmod-socket' },
    summary:
      'Mode of the unix sockets of `http` from their first moment; without it 660. The bare key: 666, for ' +
      'everybody. Sockets of systemd have SocketMode. The sockets between proxies and workers are private in any ' +
      'case.',
    example: 'chmod-socket = 664',
    setting: 'chmodSocket',
    neededBy: ['master'],
  },
  'chown-socket': {
    ...socket,
    kind: owner,
    replaces: { uwsgi: 'chown-socket' },
    summary:
      'Owner of the unix sockets of `http`. Without it, and for a group that is not named: the user and group of ' +
      'proxies and workers. Only root may give them to another user, and does so only in a folder that root alone ' +
      'may change. Sockets of systemd have SocketUser and SocketGroup.',
    example: 'chown-socket = www-data:www-data',
    setting: 'chownSocket',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
