/**
 * The key of a client for fair shares: its IPv4 address, or the first four groups of its IPv6 address, because a client
 * owns at least a /64. Pure.
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
