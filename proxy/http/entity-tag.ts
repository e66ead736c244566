/**
 * Entity tags (RFC 9110 §8.8.3): made for files, and looked for in `If-Match`, `If-None-Match` and `If-Range`. Pure.
 */

/** The properties of a file that its entity tag depends on. */
export interface FileVersion {
  sizeBytes: number
  modifiedNs: bigint
  inode: bigint
}

const WILDCARD = '*'

/**
 * The strong entity tag of a file, with its quotes. A file that is replaced by renaming gets another tag through its
 * inode even if size and time are the same. A file that is rewritten in place gets another tag through the nanoseconds
 * of its modification time.
 */
export function entityTagOf(version: FileVersion): string {
  return `"${version.inode.toString(36)}-${version.sizeBytes.toString(36)}-${version.modifiedNs.toString(36)}"`
}

/**
 * Whether the value of an `If-Match` or `If-None-Match` is `*` or lists `strongTag`; a list with a syntax error lists
 * nothing.
 */
export function listsEntityTag(value: string, strongTag: string, comparison: 'strong' | 'weak'): boolean {
  if (value === strongTag || value === WILDCARD) return true
  const tags = parseEntityTags(value)
  if (tags === null) return false
  return tags.some(tag => tag === strongTag || (comparison === 'weak' && tag === `W/${strongTag}`))
}

/**
 * The tags of a list as they were written (`W/` kept), null for a syntax error. Empty elements are allowed (§5.6.1).
 */
function parseEntityTags(value: string): string[] | null {
  const element = /[ \t]*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")?[ \t]*(?:,|$)/y
  const tags: string[] = []
  while (element.lastIndex < value.length) {
    const found = element.exec(value)
    if (found === null) return null
    if (found[1] !== undefined) tags.push(found[1])
  }
  return tags
}
