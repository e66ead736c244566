/**
 * From the values of the options around the application to what the master works with. Called by `read-settings.ts`; pure.
 */

import type { OptionValues } from './option-values.js'
import type { AroundSettings, StartingSettings } from './values/settings.js'

/** What happens before the first listener is opened. */
export function toStartingSettings(values: OptionValues): StartingSettings {
  return {
    waitForFiles: values['wait-for-file'],
    waitForFileMs: values['wait-for-file-timeout'],
    waitForSockets: values['wait-for-socket'],
    waitForSocketMs: values['wait-for-socket-timeout'],
    execAsap: values['exec-asap'],
  }
}

/** Daemons and cron jobs in the order of their options; the same line twice is two of them. */
export function toAroundSettings(values: OptionValues): AroundSettings {
  return {
    execPreApp: values['exec-pre-app'],
    execPostApp: values['exec-post-app'],
    accepting1: values['hook-accepting1'],
    execAtExit: values['exec-as-user-atexit'],
    execMs: values['exec-timeout'],
    daemons: [...values['attach-daemon'], ...values['attach-daemon2']],
    crons: [...values.cron, ...values['unique-cron'], ...values.cron2],
    cronHarakiriMs: values['cron-harakiri'],
  }
}
