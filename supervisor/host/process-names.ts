/**
 * The names of the master and its children in `ps`: a name for each process, between `procname-prefix` and
 * `procname-append`.
 */

/** The texts before and after each name. Empty: none. */
export interface ProcessNames {
  prefix: string
  append: string
}

/** `pidfile.ts` recognises the owner of a pidfile by this name. */
export const MASTER_NAME = 'daimyo: master'

export function processName(name: string, { prefix, append }: ProcessNames): string {
  return prefix + name + append
}

/**
 * Names this process. The name may be as long as the original command line. If it would be cut off, it is set without
 * prefix and suffix.
 */
export function nameMaster(iniPath: string | null, names: ProcessNames): void {
  const plain = `${MASTER_NAME} ${iniPath ?? ''}`.trimEnd()
  process.title = processName(plain, names)
  if (!process.title.includes(MASTER_NAME)) process.title = plain
}
