/** The header of the PROXY protocol: what the specification allows is read in any pieces, and nothing else is. */

import t from 'tap'
import {
  MOST_V1_BYTES,
  MOST_V2_BYTES,
  type ProxyHeader,
  ProxyHeaderReader,
  readProxyHeader,
} from '../../../proxy/client/proxy-protocol.js'
import type { Refusal } from '../../../proxy/http/refusal.js'
import { randomNumbers } from '../../supervisor/fixtures/random-numbers.js'

const REFUSED = { refused: 'bad-proxy-header', status: 400 }
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

type Client = ProxyHeader['client']
type Result = ProxyHeader | Refusal | null

const v1 = (line: string): Buffer => Buffer.from(`${line}\r\n`, 'latin1')

/** `length`: what the header says of itself, if that is not the truth. */
function v2(command: number, family: number, rest: Buffer, length = rest.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 255]), rest])
}

const bytes = (...hex: string[]): Buffer => Buffer.from(hex.join('').replaceAll(' ', ''), 'hex')
const FOUR = bytes('c0000207', 'cb007105', 'dd82', '01bb')
const SIX = bytes('20010db8 00000000 00000000 00000007', '20010db8 00000000 00000000 00000001', 'dd82', '01bb')
const MAPPED = bytes('00000000 00000000 0000ffff c0000207', '00000000 00000000 0000ffff cb007105', 'dd82', '01bb')
const UNIX = Buffer.alloc(216, '/run/x\0')
/** NOOP of three bytes. */
const TLV = bytes('04 0003 000000')

const client4 = { address: '192.0.2.7', port: 56706 }
const client6 = { address: '2001:db8::7', port: 56706 }
const LONGEST = `PROXY TCP6 ${Array(8).fill('FFFF').join(':')} ${Array(8).fill('ffff').join(':')} 65535 65535`

const VALID: [title: string, header: Buffer, client: Client][] = [
  ['version 1, IPv4', v1('PROXY TCP4 192.0.2.7 203.0.113.5 56706 443'), client4],
  ['version 1, IPv6', v1('PROXY TCP6 2001:db8::7 2001:db8::1 56706 443'), client6],
  ['version 1, IPv6 in capitals and in full', v1('PROXY TCP6 2001:0DB8:0:0:0:0:0:7 ::1 56706 443'), client6],
  ['version 1, IPv4 in IPv6', v1('PROXY TCP6 ::ffff:192.0.2.7 ::ffff:203.0.113.5 56706 443'), client4],
  [
    'version 1, ports at their bounds',
    v1('PROXY TCP4 0.0.0.0 255.255.255.255 0 65535'),
    { address: '0.0.0.0', port: 0 },
  ],
  ['version 1, the longest', v1(LONGEST), { address: Array(8).fill('ffff').join(':'), port: 65535 }],
  ['version 1, unknown', v1('PROXY UNKNOWN'), 'unknown'],
  ['version 1, unknown with words', v1('PROXY UNKNOWN ffff::1 anything at all'), 'unknown'],
  ['version 1, unknown, the longest', v1(`PROXY UNKNOWN ${'x'.repeat(MOST_V1_BYTES - 16)}`), 'unknown'],
  ['version 2, IPv4', v2(0x21, 0x11, FOUR), client4],
  ['version 2, IPv4 with a field', v2(0x21, 0x11, Buffer.concat([FOUR, TLV])), client4],
  ['version 2, IPv6', v2(0x21, 0x21, SIX), client6],
  ['version 2, IPv4 in IPv6', v2(0x21, 0x21, MAPPED), client4],
  ['version 2, the longest', v2(0x21, 0x21, Buffer.concat([SIX, Buffer.alloc(MOST_V2_BYTES - 16 - 36)])), client6],
  ['version 2, without an address', v2(0x21, 0x00, Buffer.alloc(0)), 'unknown'],
  ['version 2, without an address, with fields', v2(0x21, 0x00, TLV), 'unknown'],
  ['version 2, datagrams', v2(0x21, 0x12, FOUR), 'unknown'],
  ['version 2, datagrams of IPv6', v2(0x21, 0x22, SIX), 'unknown'],
  ['version 2, unix', v2(0x21, 0x31, UNIX), 'unknown'],
  ['version 2, unix datagrams', v2(0x21, 0x32, UNIX), 'unknown'],
  ['version 2, LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), 'itself'],
  ['version 2, LOCAL with an address', v2(0x20, 0x11, FOUR), 'itself'],
  ['version 2, LOCAL of a family that does not exist', v2(0x20, 0xff, TLV), 'itself'],
]

const INVALID: [title: string, header: Buffer][] = [
  ['a request', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
  ['TLS', bytes('16 0301 0200 01')],
  ['an empty line', Buffer.from('\r\n\r\nGET / HTTP/1.1\r\n\r\n')],
  ['small letters', v1('proxy TCP4 192.0.2.7 203.0.113.5 56706 443')],
  ['no protocol', v1('PROXY')],
  ['no protocol behind the space', v1('PROXY ')],
  ['another protocol', v1('PROXY UDP4 192.0.2.7 203.0.113.5 56706 443')],
  ['TCP of no version', v1('PROXY TCP 192.0.2.7 203.0.113.5 56706 443')],
  ['UNKNOWN in a longer word', v1('PROXY UNKNOWNS')],
  ['a space in front', v1(' PROXY TCP4 192.0.2.7 203.0.113.5 56706 443')],
  ['two spaces', v1('PROXY  TCP4 192.0.2.7 203.0.113.5 56706 443')],
  ['a space behind', v1('PROXY TCP4 192.0.2.7 203.0.113.5 56706 443 ')],
  ['a tab', v1('PROXY TCP4\t192.0.2.7 203.0.113.5 56706 443')],
  ['an address too few', v1('PROXY TCP4 192.0.2.7 56706 443')],
  ['a port too few', v1('PROXY TCP4 192.0.2.7 203.0.113.5 56706')],
  ['a port too many', v1('PROXY TCP4 192.0.2.7 203.0.113.5 56706 443 80')],
  ['a port that is too large', v1('PROXY TCP4 192.0.2.7 203.0.113.5 65536 443')],
  ['the other port too large', v1('PROXY TCP4 192.0.2.7 203.0.113.5 56706 65536')],
  ['a zero before a port', v1('PROXY TCP4 192.0.2.7 203.0.113.5 056706 443')],
  ['a sign before a port', v1('PROXY TCP4 192.0.2.7 203.0.113.5 +6706 443')],
  ['a port in hexadecimal digits', v1('PROXY TCP4 192.0.2.7 203.0.113.5 0x10 443')],
  ['a zero before a byte of an address', v1('PROXY TCP4 192.0.02.7 203.0.113.5 56706 443')],
  ['a byte that is too large', v1('PROXY TCP4 192.0.256.7 203.0.113.5 56706 443')],
  ['three bytes', v1('PROXY TCP4 192.0.2 203.0.113.5 56706 443')],
  ['a name', v1('PROXY TCP4 localhost 203.0.113.5 56706 443')],
  ['a destination that is a name', v1('PROXY TCP4 192.0.2.7 localhost 56706 443')],
  ['IPv6 as IPv4', v1('PROXY TCP4 2001:db8::7 2001:db8::1 56706 443')],
  ['IPv4 as IPv6', v1('PROXY TCP6 192.0.2.7 203.0.113.5 56706 443')],
  ['a mixture', v1('PROXY TCP6 2001:db8::7 203.0.113.5 56706 443')],
  ['IPv6 with a zone', v1('PROXY TCP6 fe80::1%lo ::1 56706 443')],
  ['IPv6 in brackets', v1('PROXY TCP6 [2001:db8::7] ::1 56706 443')],
  ['IPv6 with two gaps', v1('PROXY TCP6 2001::db8::7 ::1 56706 443')],
  ['LF alone at the end', Buffer.from('PROXY TCP4 192.0.2.7 203.0.113.5 56706 443\nGET / HTTP/1.1\r\n\r\n')],
  ['CR alone at the end', Buffer.from('PROXY TCP4 192.0.2.7 203.0.113.5 56706 443\rGET / HTTP/1.1\r\n\r\n')],
  ['two CR at the end', Buffer.from('PROXY TCP4 192.0.2.7 203.0.113.5 56706 443\r\r\n')],
  ['LF in the middle', v1('PROXY TCP4 192.0.2.7\n203.0.113.5 56706 443')],
  ['CR in the middle', v1('PROXY TCP4 192.0.2.7\r203.0.113.5 56706 443')],
  ['CRLF in the middle', v1('PROXY TCP4 192.0.2.7\r\n203.0.113.5 56706 443')],
  ['LF behind UNKNOWN', v1('PROXY UNKNOWN x\ny')],
  ['CR behind UNKNOWN', v1('PROXY UNKNOWN x\ry')],
  ['NUL behind UNKNOWN', v1('PROXY UNKNOWN x\0y')],
  ['version 1, a byte too long', v1(`PROXY UNKNOWN ${'x'.repeat(MOST_V1_BYTES - 15)}`)],
  ['version 1 without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(MOST_V1_BYTES)}`)],
  ['a signature that breaks off', Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from('\r'), FOUR])],
  ['version 1 in version 2', v2(0x11, 0x11, FOUR)],
  ['version 3', v2(0x31, 0x11, FOUR)],
  ['a command that does not exist', v2(0x22, 0x11, FOUR)],
  ['a family that does not exist', v2(0x21, 0x41, UNIX)],
  ['a transport that does not exist', v2(0x21, 0x13, FOUR)],
  ['a family without a transport', v2(0x21, 0x10, FOUR)],
  ['a transport without a family', v2(0x21, 0x01, FOUR)],
  ['IPv4, a byte too short', v2(0x21, 0x11, FOUR.subarray(1))],
  ['IPv4 without a length', v2(0x21, 0x11, FOUR, 0)],
  ['IPv6 as long as IPv4', v2(0x21, 0x21, FOUR)],
  ['IPv6, a byte too short', v2(0x21, 0x21, SIX.subarray(1))],
  ['datagrams, a byte too short', v2(0x21, 0x12, FOUR.subarray(1))],
  ['unix, a byte too short', v2(0x21, 0x31, UNIX.subarray(1))],
  ['version 2, a byte too long', v2(0x21, 0x21, SIX, MOST_V2_BYTES - 15)],
  ['version 2, the longest length', v2(0x21, 0x21, SIX, 65_535)],
  ['LOCAL, a byte too long', v2(0x20, 0x00, SIX, MOST_V2_BYTES - 15)],
]

/** The result for all of `pieces`, read one after the other; each is overwritten once it was read. */
function readPieces(...pieces: Buffer[]): Result {
  const reader = new ProxyHeaderReader()
  for (const piece of pieces) {
    const lent = Buffer.from(piece)
    const result = reader.read(lent, lent.length)
    lent.fill('PROXY UNKNOWN\r\n')
    if (result !== null) return result
  }
  return null
}

t.test('what the specification allows, in one piece and with a request behind it', async t => {
  for (const [title, header, client] of VALID) {
    t.strictSame(readProxyHeader(header, header.length), { client, bytes: header.length }, title)
    const more = Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n\r\n')])
    t.strictSame(readProxyHeader(more, more.length), { client, bytes: header.length }, `${title}, and more`)
  }
})

t.test('each beginning of it waits for the rest, and every split is read as the whole is', async t => {
  for (const [title, header, client] of VALID) {
    const wrong: number[] = []
    for (let at = 0; at < header.length; at++) {
      const [front, back] = [header.subarray(0, at), header.subarray(at)]
      const isAwaited = readProxyHeader(header, at) === null
      const whole = readPieces(front, Buffer.concat([back, Buffer.from('GET')]))
      const isRead = whole !== null && 'client' in whole && whole.bytes === back.length
      if (!isAwaited || !isRead || JSON.stringify(whole.client) !== JSON.stringify(client)) wrong.push(at)
    }
    t.strictSame(wrong, [], title)
    const single = Array.from(header, byte => Buffer.from([byte]))
    t.strictSame(readPieces(...single), { client, bytes: 1 }, `${title}, byte by byte`)
  }
})

t.test('everything else is refused, in any pieces', async t => {
  for (const [title, header] of INVALID) {
    t.match(readProxyHeader(header, header.length), REFUSED, title)
    const single = Array.from(header, byte => Buffer.from([byte]))
    t.match(readPieces(...single), REFUSED, `${title}, byte by byte`)
  }
})

t.test('a connection that begins otherwise is refused at its first wrong byte', async t => {
  const beginnings = ['G', '\x16', 'PROXX', 'PROXY\n', 'PROXY TCP4 1\n', 'PROXY\r\n', '\r\n\r\nG', '\n']
  for (const text of beginnings) t.match(readPieces(Buffer.from(text)), REFUSED, JSON.stringify(text))
})

/** Written from the specification, in other words than the parser. */
function isAllowed(header: Buffer, client: Client): boolean {
  const text = header.toString('latin1')
  if (text.startsWith('PROXY ')) {
    const isBounded = header.length <= 107 && text.indexOf('\r\n') === header.length - 2
    const [, protocol, source, , ...ports] = text.slice(0, -2).split(' ')
    if (protocol === 'UNKNOWN') return isBounded && client === 'unknown'
    const hasPorts = ports.length === 2 && ports.every(port => String(Number(port)) === port && Number(port) < 65_536)
    const isFour = source?.split('.').every(part => String(Number(part)) === part && Number(part) < 256)
    const isSix = source?.includes(':') === true
    return isBounded && hasPorts && (protocol === 'TCP4' ? isFour === true : protocol === 'TCP6' && isSix)
  }
  const [command, family] = [header[12] ?? 0, header[13] ?? 0]
  const needed = { 0: 0, 1: 12, 2: 36, 3: 216 }[family >> 4]
  const hasFamily = family === 0 || (needed !== undefined && needed > 0 && (family & 15) >= 1 && (family & 15) <= 2)
  const isLongEnough = needed !== undefined && header.length >= 16 + needed
  return (
    header.subarray(0, 12).equals(SIGNATURE) &&
    header.readUInt16BE(14) === header.length - 16 &&
    header.length <= MOST_V2_BYTES &&
    (command === 0x20 ? client === 'itself' : command === 0x21 && hasFamily && isLongEnough)
  )
}

t.test('10,000 mutations', async t => {
  const below = randomNumbers(1)
  const tricks = ['\r', '\n', '\r\n', '\0', ' ', '  ', '0', ':', '.', '-', '%', 'PROXY ', '65536', '\xff', '\x21']
  const mutate = (header: Buffer): Buffer => {
    const at = below(Math.min(header.length, 120))
    const [front, back] = [header.subarray(0, at), header.subarray(at)]
    const kind = below(4)
    if (kind === 0) return Buffer.concat([front, Buffer.from([below(256)]), back.subarray(1)])
    if (kind === 1) return Buffer.concat([front, back.subarray(1 + below(3))])
    if (kind === 2) return Buffer.concat([front, Buffer.from(tricks[below(tricks.length)] ?? '', 'latin1'), back])
    return Buffer.concat([front, Buffer.from([(back[0] ?? 0) ^ (1 << below(8))]), back.subarray(1)])
  }
  const seen = { accepted: 0, refused: 0, awaited: 0 }
  for (let round = 0; round < 10_000; round++) {
    let header = VALID[below(VALID.length)]?.[1] ?? Buffer.alloc(0)
    for (let times = 1 + below(3); times > 0; times--) header = mutate(header)
    const poison = Buffer.concat([header, Buffer.from('\r\n')])
    const result = readProxyHeader(poison, header.length)
    const cut = below(header.length + 1)
    const split = readPieces(header.subarray(0, cut), header.subarray(cut))
    const what = `${round}: ${header.toString('hex')}`
    if (result === null) {
      seen.awaited += 1
      if (header.length >= MOST_V2_BYTES || split !== null) t.fail(`waits for ever: ${what}`)
    } else if ('refused' in result) {
      seen.refused += 1
      if (split === null || !('refused' in split)) t.fail(`accepted in two pieces: ${what}`)
    } else {
      seen.accepted += 1
      const isWithin = result.bytes <= header.length
      if (!isWithin || !isAllowed(header.subarray(0, result.bytes), result.client)) t.fail(`accepted: ${what}`)
      if (split === null || !('client' in split)) t.fail(`not accepted in two pieces: ${what}`)
    }
  }
  t.ok(Math.min(...Object.values(seen)) > 500, JSON.stringify(seen))
})
