/**
 * The key by which clients are told apart that get a fair share each: an IPv4 address as it is; of an IPv6 address the
 * first four groups, because a client owns a /64 at least. Pure.
 */

const MAPPED = '::ffff:'

/**
 * The key of an address as the kernel prints it. IPv4 addresses keep their key on a socket for both families (RFC 4291
 * §2.5.5.2). A text that is no address, such as the empty one of a unix socket, is its own key.
 */
export function clientKey(address: string): string {
  if (!address.includes(':')) return address
  if (address.startsWith(MAPPED) && address.includes('.')) return address.slice(MAPPED.length)
  const [front = '', back] = address.split('::')
  const groups = front === '' ? [] : front.split(':')
  if (back !== undefined) {
    const behind = back === '' ? 0 : back.split(':').length + (back.includes('.') ? 1 : 0)
    while (groups.length + behind < 8) groups.push('0')
    if (behind > 0) groups.push(...back.split(':'))
  }
  return groups.slice(0, 4).join(':')
}
