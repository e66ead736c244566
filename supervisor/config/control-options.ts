/** The rows of the option table that say how a running master is spoken to. A part of `host-options.ts`; `options.ts` explains a row. */

import * as kind from './option-kinds.js'
import type { OptionRow } from './options.js'

export const CONTROL_OPTIONS = {
  'master-fifo': {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    repeatable: true,
    takesEffect: 'restart',
    replaces: { uwsgi: 'master-fifo' },
    summary:
      'A FIFO (0600) that takes uWSGI’s letters: `r` `R` `c` `w` `W` reload, `q` stop, `Q` stop at once, `p` pause and go on, `s` the workers’ state ' +
      'into the log, `l` `L` open the logs again, `+` `-` one worker more, up to `processes`, or fewer; of several FIFOs a digit chooses the one that is listened to. ' +
      'After ten reads it is read every two seconds; a letter that came again and again meanwhile counts once, `+` and `-` as often as they came. ' +
      'In a folder that is not root’s alone, whoever may write to the folder commands the master. Relative to where daimyo was started.',
    example: 'master-fifo = /run/shop/fifo',
    setting: 'masterFifos',
  },
} as const satisfies Record<string, OptionRow>
