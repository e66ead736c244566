/**
 * What `ps` shows of the master and its children: `procname-prefix` and `procname-append` around names that say what
 * each is.
 */

/** What stands before and behind each name; empty: nothing. */
export interface ProcessNames {
  prefix: string
  append: string
}

/** By this the owner of a pidfile is known (`pidfile.ts`). */
export const MASTER_NAME = 'daimyo: master'

export function processName(name: string, { prefix, append }: ProcessNames): string {
  return prefix + name + append
}

/**
 * Names this process. There is room for as much as its command line took: where the name would be cut off, it stands
 * alone.
 */
export function nameMaster(iniPath: string | null, names: ProcessNames): void {
  const plain = `${MASTER_NAME} ${iniPath ?? ''}`.trimEnd()
  process.title = processName(plain, names)
  if (!process.title.includes(MASTER_NAME)) process.title = plain
}
