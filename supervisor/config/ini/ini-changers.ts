/**
 * Which users a root master lets change its INI. A user that may change an INI decides as which user everything runs.
 * So an INI that the service's own user (`uid`) or everybody can change or replace is a mistake, as such a file is for
 * sudo and cron. One other owner, such as a deploy user that unpacks releases, is a remark: that user can become root.
 */

import type { Credentials } from '../../../kit/channel/messages.js'
import { userName } from '../../user/account-names.js'
import { changersOf, openingOf } from '../../user/guarded-path.js'
import type { Finding } from '../values/settings.js'

/** Judges the INI and its includes. If the reader is not root, there is nothing to judge. */
export function judgeIniFiles(
  files: readonly string[],
  service: Credentials | null,
): { mistakes: Finding[]; remarks: Finding[] } {
  const found: { mistakes: Finding[]; remarks: Finding[] } = { mistakes: [], remarks: [] }
  if (process.geteuid?.() !== 0) return found
  for (const path of files) {
    const changers = changersOf(path, service)
    const reason = changers.service ?? changers.everybody
    if (reason !== null) {
      const who = changers.service !== null && service !== null ? `uid: ${userName(service.uid)}` : 'everybody'
      const what = `${who} may change this file, from which root takes what to do`
      found.mistakes.push({ place: path, message: `${what}: ${reason}: accepted an INI that only root can change` })
    } else if (changers.others !== null) {
      const message = `not only root may change this file: ${changers.others}: whoever may, becomes root through it`
      found.remarks.push({ place: path, message })
    }
  }
  return found
}

/** FIFOs in a folder where users other than root make and open files: those users may write to the FIFO too. */
export function remarkFifos(fifos: readonly { path: string; place: string }[], service: Credentials | null): Finding[] {
  return fifos.flatMap(({ path, place }) => {
    const { as, reason } = openingOf(path, 'name', service)
    if (as === null) return []
    return [{ place, message: `master-fifo: ${userName(as.uid)} commands the master by it, as root does: ${reason}` }]
  })
}
