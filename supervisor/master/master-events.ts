/** The events of the master's one queue. Types only. */

import type { CommandEvent } from '../attached/shell-command.js'
import type { ProxiesEvent } from '../proxies/proxy-handle.js'
import type { WatchedPath } from '../reload/path-watch.js'
import type { ReloadEvent } from '../reload/reload.js'
import type { WorkersEvent } from '../workers/worker-handle.js'
import type { OrderRequest } from './orders.js'
import type { SignalEvent } from './signals.js'

/** All events of the master. */
export type MasterEvent = TreeEvent | CommandEvent | { type: 'signal'; signal: string; event: SignalEvent }

/** Events of the running tree. */
export type TreeEvent =
  | WorkersEvent
  | ProxiesEvent
  | ReloadEvent
  | { type: 'order'; request: OrderRequest }
  /** The memory of the children was read. */
  | { type: 'usage' }
  /** A path that an option watches has changed. */
  | { type: 'touched'; watched: WatchedPath }
