/** The request parser, case by case: what it takes and how it reads it, what it refuses and by which rule. */

import t from 'tap'
import type { RefusalCode } from '../../../proxy/http/refusal.js'
import {
  headerValue,
  isRefusal,
  MOST_HEAD,
  overlongHead,
  parseRequestHead,
  type RequestHead,
} from '../../../proxy/http/request-head.js'

const lines = (...all: string[]): string => all.join('\r\n')
const get = (...fields: string[]): string => lines('GET / HTTP/1.1', 'Host: a', ...fields)
const get10 = (...fields: string[]): string => lines('GET / HTTP/1.0', ...fields)
const post = (...fields: string[]): string => lines('POST / HTTP/1.1', 'Host: a', ...fields)
const target = (received: string, host = 'a'): string => lines(`GET ${received} HTTP/1.1`, `Host: ${host}`)
const withHost = (host: string): string => lines('GET / HTTP/1.1', `Host: ${host}`)
const method = (received: string): string => lines(`${received} / HTTP/1.1`, 'Host: a')

/** What a plain `GET /` with `Host: a` gives; each case tells the differences. */
const PLAIN: RequestHead = {
  method: 'GET',
  target: '/',
  httpMinor: 1,
  host: 'a',
  headers: '\nHost\na',
  length: 0,
  chunked: false,
  keepAlive: true,
  upgrade: null,
  expectContinue: false,
  userAgent: '',
  referer: '',
  forwarding: null,
  conditions: null,
}

const TAKEN: [title: string, input: string, expected: Partial<RequestHead>][] = [
  ['the smallest request', get(), {}],
  ['the smallest HTTP/1.0 request', get10(), { httpMinor: 0, host: '', headers: '', keepAlive: false }],
  ['a target with a query', target('/a/b?c=d&e=%20'), { target: '/a/b?c=d&e=%20' }],
  ['a backslash in the query, as browsers send it', target('/a?b=\\d'), { target: '/a?b=\\d' }],
  ['what strict URIs escape and browsers do not', target('/a|b[c]?{}^`"<>'), { target: '/a|b[c]?{}^`"<>' }],
  ['a target of empty segments', target('//evil.example/..'), { target: '//evil.example/..' }],
  [
    'a target of the largest length',
    target('/'.padEnd(MOST_HEAD.httpUriSizeBytes, 'x')),
    { target: '/'.padEnd(MOST_HEAD.httpUriSizeBytes, 'x') },
  ],
  ['OPTIONS for the server', lines('OPTIONS * HTTP/1.1', 'Host: a'), { method: 'OPTIONS', target: '*' }],
  [
    'OPTIONS for the server, asked of a proxy',
    lines('OPTIONS http://a HTTP/1.1', 'Host: a'),
    { method: 'OPTIONS', target: '*' },
  ],
  ['absolute-form', target('http://a/b?c'), { target: '/b?c' }],
  ['absolute-form that disagrees with Host', target('http://b/'), { host: 'b', headers: '\nHost\nb' }],
  ['absolute-form with another port', target('http://a:81/'), { host: 'a:81', headers: '\nHost\na:81' }],
  [
    'absolute-form with the port of another scheme',
    target('http://a:443/'),
    { host: 'a:443', headers: '\nHost\na:443' },
  ],
  [
    'absolute-form that disagrees in HTTP/1.0',
    lines('GET http://b/ HTTP/1.0', 'Host: a'),
    { httpMinor: 0, host: 'b', headers: '\nHost\nb', keepAlive: false },
  ],
  [
    'absolute-form among fields that look like Host',
    lines('GET http://b/c HTTP/1.1', 'X: host', 'hOsT: a', 'Y: Host', 'Z: a'),
    { target: '/c', host: 'b', headers: '\nX\nhost\nhOsT\nb\nY\nHost\nZ\na' },
  ],
  [
    'OPTIONS for another server',
    lines('OPTIONS http://b HTTP/1.1', 'Host: a'),
    { method: 'OPTIONS', target: '*', host: 'b', headers: '\nHost\nb' },
  ],
  ['absolute-form without a path', target('http://a'), { target: '/' }],
  ['absolute-form with only a query', target('http://a?b'), { target: '/?b' }],
  ['absolute-form in another case', target('HTTP://A/b'), { target: '/b' }],
  ['absolute-form with the default port', target('https://a:443/b'), { target: '/b' }],
  [
    'Host with the default port of the target',
    target('http://a/b', 'a:80'),
    { target: '/b', host: 'a:80', headers: '\nHost\na:80' },
  ],
  [
    'absolute-form in HTTP/1.0 without Host',
    lines('GET http://b:81/c HTTP/1.0', 'A: b'),
    { target: '/c', httpMinor: 0, host: 'b:81', headers: '\nHost\nb:81\nA\nb', keepAlive: false },
  ],
  ['a WebDAV method', method('PROPFIND'), { method: 'PROPFIND' }],
  ['a method with a hyphen', method('M-SEARCH'), { method: 'M-SEARCH' }],
  ['Host with a port', withHost('a.example:8080'), { host: 'a.example:8080', headers: '\nHost\na.example:8080' }],
  ['Host with an empty port', withHost('a:'), { host: 'a:', headers: '\nHost\na:' }],
  ['Host with the largest port', withHost('a:65535'), { host: 'a:65535', headers: '\nHost\na:65535' }],
  ['Host as IPv4', withHost('127.0.0.1'), { host: '127.0.0.1', headers: '\nHost\n127.0.0.1' }],
  [
    'Host as IPv6 with a port',
    withHost('[2001:db8::1]:80'),
    { host: '[2001:db8::1]:80', headers: '\nHost\n[2001:db8::1]:80' },
  ],
  [
    'Host as a registered name with an escape',
    withHost('b%C3%BCcher~(x)'),
    { host: 'b%C3%BCcher~(x)', headers: '\nHost\nb%C3%BCcher~(x)' },
  ],
  ['white space around a value', get('A: \t b c\t '), { headers: '\nHost\na\nA\nb c' }],
  ['no white space before a value', get('A:b'), { headers: '\nHost\na\nA\nb' }],
  ['an empty value', get('A:', 'B: '), { headers: '\nHost\na\nA\n\nB\n' }],
  ['a tab and obs-text in a value', get('A: b\tc\xe9\xff'), { headers: '\nHost\na\nA\nb\tc\xe9\xff' }],
  ['a colon in a value', get('A: b: c:'), { headers: '\nHost\na\nA\nb: c:' }],
  [
    'every token character in a name',
    get("!#$%&'*+-.^_`|~09azAZ: b"),
    { headers: "\nHost\na\n!#$%&'*+-.^_`|~09azAZ\nb" },
  ],
  ['a name that JavaScript knows', get('__proto__: b'), { headers: '\nHost\na\n__proto__\nb' }],
  [
    'names in any case, order and repetition kept',
    get('b: 1', 'A: 2', 'B: 3'),
    { headers: '\nHost\na\nb\n1\nA\n2\nB\n3' },
  ],
  [
    'the most fields',
    get(...Array.from({ length: MOST_HEAD.httpHeaderCount - 1 }, () => 'A: b')),
    { headers: `\nHost\na${'\nA\nb'.repeat(MOST_HEAD.httpHeaderCount - 1)}` },
  ],
  [
    'Content-Length',
    post('Content-Length: 12'),
    { method: 'POST', length: 12, headers: '\nHost\na\nContent-Length\n12' },
  ],
  ['Content-Length of zero', post('content-length:0'), { method: 'POST', headers: '\nHost\na\ncontent-length\n0' }],
  [
    'the largest Content-Length',
    post('Content-Length: 9007199254740991'),
    { method: 'POST', length: 9007199254740991, headers: '\nHost\na\nContent-Length\n9007199254740991' },
  ],
  [
    'Content-Length in HTTP/1.0',
    get10('Content-Length: 3'),
    { httpMinor: 0, host: '', length: 3, keepAlive: false, headers: '\nContent-Length\n3' },
  ],
  [
    'Transfer-Encoding',
    post('Transfer-Encoding: chunked'),
    { method: 'POST', chunked: true, headers: '\nHost\na\nTransfer-Encoding\nchunked' },
  ],
  [
    'Transfer-Encoding in another case and white space',
    post('TRANSFER-encoding:\t Chunked '),
    { method: 'POST', chunked: true, headers: '\nHost\na\nTRANSFER-encoding\nChunked' },
  ],
  ['Connection: keep-alive', get('Connection: keep-alive'), {}],
  ['Connection: close', get('Connection: close'), { keepAlive: false }],
  ['close beside keep-alive', get('Connection: keep-alive, Close'), { keepAlive: false }],
  ['close in a second line', get('Connection: keep-alive', 'connection: ,close,'), { keepAlive: false }],
  ['keep-alive in HTTP/1.0', get10('Connection: Keep-Alive'), { httpMinor: 0, host: '', headers: '' }],
  [
    'close beside keep-alive in HTTP/1.0',
    get10('Connection: close', 'Connection: keep-alive'),
    { httpMinor: 0, host: '', headers: '', keepAlive: false },
  ],
  ['Proxy-Connection says nothing', get('Proxy-Connection: close'), {}],
  [
    'hop-by-hop fields',
    get('Keep-Alive: 5', 'TE: trailers', 'proxy-authorization: b', 'A: b', 'Proxy-Connection: x', 'Upgrade: x'),
    { headers: '\nHost\na\nA\nb' },
  ],
  ['Trailer stays', get('Trailer: x'), { headers: '\nHost\na\nTrailer\nx' }],
  [
    'a nominated field before and after',
    get('X-a: 1', 'b: 2', 'Connection: x-A, c', 'C: 3', 'd: 4'),
    { headers: '\nHost\na\nb\n2\nd\n4' },
  ],
  [
    'a nominated field in HTTP/1.0',
    get10('Connection: a', 'A: 1', 'B: 2'),
    { httpMinor: 0, host: '', keepAlive: false, headers: '\nB\n2' },
  ],
  ['a value that looks like a nominated name', get('Connection: x', 'B: x', 'X: y'), { headers: '\nHost\na\nB\nx' }],
  [
    'nominated framing stays',
    lines(
      'POST / HTTP/1.1',
      'Connection: Host, Content-Length, Expect',
      'Host: a',
      'Content-Length: 1',
      'Expect: 100-continue',
    ),
    { method: 'POST', length: 1, expectContinue: true, headers: '\nHost\na\nContent-Length\n1\nExpect\n100-continue' },
  ],
  [
    'nominated Transfer-Encoding stays',
    post('Connection: transfer-encoding', 'Transfer-Encoding: chunked'),
    { method: 'POST', chunked: true, headers: '\nHost\na\nTransfer-Encoding\nchunked' },
  ],
  ['Upgrade', get('Connection: Upgrade', 'Upgrade: WebSocket'), { upgrade: 'WebSocket' }],
  ['Upgrade beside keep-alive', get('Upgrade: websocket', 'Connection: keep-alive, upgrade'), { upgrade: 'websocket' }],
  [
    'Upgrade in two lines',
    get('Connection: upgrade', 'Upgrade: h2c', 'Upgrade: websocket'),
    { upgrade: 'h2c, websocket' },
  ],
  ['Upgrade that Connection does not nominate', get('Upgrade: websocket'), {}],
  ['upgrade without Upgrade', get('Connection: upgrade'), {}],
  [
    'Upgrade in HTTP/1.0',
    get10('Connection: upgrade', 'Upgrade: websocket'),
    { httpMinor: 0, host: '', headers: '', keepAlive: false },
  ],
  [
    'h2c with its settings',
    get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AA'),
    { upgrade: 'h2c' },
  ],
  ['Expect', get('Expect: 100-Continue'), { expectContinue: true, headers: '\nHost\na\nExpect\n100-Continue' }],
  [
    'Expect in HTTP/1.0',
    get10('Expect: 100-continue'),
    { httpMinor: 0, host: '', keepAlive: false, headers: '\nExpect\n100-continue' },
  ],
  [
    'User-Agent and Referer',
    get('user-agent: x', 'Referer: y'),
    { userAgent: 'x', referer: 'y', headers: '\nHost\na\nuser-agent\nx\nReferer\ny' },
  ],
  [
    'the first of two User-Agents and Referers',
    get('User-Agent: x', 'User-Agent: z', 'Referer: y', 'Referer: w'),
    { userAgent: 'x', referer: 'y', headers: '\nHost\na\nUser-Agent\nx\nUser-Agent\nz\nReferer\ny\nReferer\nw' },
  ],
  [
    'what other proxies say',
    get(
      'X-Forwarded-For: 1',
      'x-forwarded-proto: 2',
      'X-FORWARDED-HOST: 3',
      'X-Forwarded-Port: 4',
      'Forwarded: 5',
      'X-Real-Ip: 6',
      'X-Forwarded-For: 7',
    ),
    {
      forwarding: [
        'X-Forwarded-For',
        '1',
        'x-forwarded-proto',
        '2',
        'X-FORWARDED-HOST',
        '3',
        'X-Forwarded-Port',
        '4',
        'Forwarded',
        '5',
        'X-Real-Ip',
        '6',
        'X-Forwarded-For',
        '7',
      ],
    },
  ],
  [
    'underscore twins of those',
    get('X_Forwarded_For: 1', 'x-forwarded_proto: 2', 'X_FORWARDED-HOST: 3', 'X_Forwarded_Port: 4', 'X_Real_IP: 6'),
    {},
  ],
  [
    'neighbours of those',
    get('X-Forwardes-Fox: 1', 'X-Real-IQ: 2', 'Z-Forwarded-Boot: 3', 'X-Forwarding: 4', 'X+Forwarded+For: 5'),
    {
      headers: '\nHost\na\nX-Forwardes-Fox\n1\nX-Real-IQ\n2\nZ-Forwarded-Boot\n3\nX-Forwarding\n4\nX+Forwarded+For\n5',
    },
  ],
  [
    'neighbours of the known names',
    get(
      'tf: 1',
      'hoss: 1',
      'expecu: 1',
      'referes: 1',
      'upgradf: 1',
      'connectioo: 1',
      'user-agenu: 1',
      'keep-alivf: 1',
      'content-lengti: 1',
      'transfer-encodinh: 1',
      'proxy-connectioo: 1',
      'proxy-authorizatioo: 1',
      'content_length: 1',
    ),
    {
      headers:
        '\nHost\na\ntf\n1\nhoss\n1\nexpecu\n1\nreferes\n1\nupgradf\n1\nconnectioo\n1\nuser-agenu\n1\nkeep-alivf\n1\ncontent-lengti\n1\ntransfer-encodinh\n1\nproxy-connectioo\n1\nproxy-authorizatioo\n1\ncontent_length\n1',
    },
  ],
]

const REFUSED: [title: string, input: string, status: number, expected: RefusalCode][] = [
  ['nothing', '', 400, 'bad-request-line'],
  ['no request line', lines('', 'Host: a'), 400, 'bad-request-line'],
  ['HTTP/0.9', 'GET /', 400, 'bad-request-line'],
  ['no target', lines('GET HTTP/1.1', 'Host: a'), 400, 'bad-request-line'],
  ['an empty target', lines('GET  HTTP/1.1', 'Host: a'), 400, 'bad-target'],
  ['an empty method', lines(' / HTTP/1.1', 'Host: a'), 400, 'bad-request-line'],
  ['a space before the method', lines(' GET / HTTP/1.1', 'Host: a'), 400, 'bad-request-line'],
  ['two spaces after the method', lines('GET  / HTTP/1.1', 'Host: a'), 400, 'bad-target'],
  ['two spaces before the version', lines('GET /  HTTP/1.1', 'Host: a'), 400, 'bad-target'],
  ['a space after the version', lines('GET / HTTP/1.1 ', 'Host: a'), 400, 'bad-request-line'],
  ['a tab after the method', lines('GET\t/ HTTP/1.1', 'Host: a'), 400, 'bad-request-line'],
  ['a tab before the version', lines('GET /\tHTTP/1.1', 'Host: a'), 400, 'bad-request-line'],
  ['a lower-case version', lines('GET / http/1.1', 'Host: a'), 400, 'bad-request-line'],
  ['a version of two digits', lines('GET / HTTP/1.10', 'Host: a'), 400, 'bad-request-line'],
  ['a version of one number', lines('GET / HTTP/1', 'Host: a'), 400, 'bad-request-line'],
  ['another protocol', lines('GET / ICE/1.0', 'Host: a'), 400, 'bad-request-line'],
  ['HTTP/1.2', lines('GET / HTTP/1.2', 'Host: a'), 505, 'version-not-supported'],
  ['HTTP/2.0', lines('GET / HTTP/2.0', 'Host: a'), 505, 'version-not-supported'],
  ['HTTP/0.9 by name', lines('GET / HTTP/0.9', 'Host: a'), 505, 'version-not-supported'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0', 505, 'version-not-supported'],
  ['a lower-case method', method('get'), 501, 'unknown-method'],
  ['an unknown method', method('BREW'), 501, 'unknown-method'],
  ['the method of HTTP/2', method('PRI'), 501, 'unknown-method'],
  ['a name that JavaScript knows as method', method('__proto__'), 501, 'unknown-method'],
  ['a method of 64 KB', method('G'.repeat(65_536)), 501, 'unknown-method'],
  ['a method that is no token', method('GE(T'), 400, 'bad-method'],
  ['a method with a colon', method('GET:'), 400, 'bad-method'],
  ['a method that is not ASCII', method('G\xcbT'), 400, 'bad-method'],
  ['CONNECT', lines('CONNECT a:443 HTTP/1.1', 'Host: a:443'), 405, 'method-not-allowed'],
  ['TRACE', method('TRACE'), 405, 'method-not-allowed'],
  ['authority-form', target('a:80'), 400, 'bad-target'],
  ['a target without a slash', target('index.html'), 400, 'bad-target'],
  ['a query alone', target('?a'), 400, 'bad-target'],
  ['asterisk-form in a GET', target('*'), 400, 'bad-target'],
  ['asterisk and more', lines('OPTIONS *a HTTP/1.1', 'Host: a'), 400, 'bad-target'],
  ['a fragment', target('/a#b'), 400, 'bad-target'],
  ['a space in the target', target('/a b'), 400, 'bad-target'],
  ['a tab in the target', target('/a\tb'), 400, 'bad-target'],
  ['NUL in the target', target('/a\0b'), 400, 'control-character'],
  ['DEL in the target', target('/a\x7fb'), 400, 'control-character'],
  ['UTF-8 in the target', target('/b\xc3\xbc'), 400, 'bad-target'],
  ['UTF-8 in the query', target('/?b\xc3\xbc'), 400, 'bad-target'],
  ['a backslash in the path', target('/a\\b'), 400, 'bad-target'],
  ['a backslash as the first slash', target('/\\evil.example/'), 400, 'bad-target'],
  ['a target that is too long', target('/'.padEnd(MOST_HEAD.httpUriSizeBytes + 1, 'x')), 414, 'target-too-long'],
  ['absolute-form of another scheme', target('ftp://a/'), 400, 'bad-target'],
  ['absolute-form without authority', target('http:///b'), 400, 'bad-target'],
  ['absolute-form with one slash', target('http:/a'), 400, 'bad-target'],
  ['absolute-form with userinfo', target('http://u:p@a/'), 400, 'bad-target'],
  ['absolute-form with an empty userinfo', target('http://@a/'), 400, 'bad-target'],
  ['absolute-form with a backslash', target('http://a\\b/'), 400, 'bad-target'],
  ['absolute-form without Host', 'GET http://b/ HTTP/1.1', 400, 'missing-host'],
  ['no Host', 'GET / HTTP/1.1', 400, 'missing-host'],
  ['no Host among others', lines('GET / HTTP/1.1', 'A: b'), 400, 'missing-host'],
  ['two Hosts', get('Host: b'), 400, 'repeated-host'],
  ['two equal Hosts', get('host: a'), 400, 'repeated-host'],
  ['two Hosts in HTTP/1.0', get10('Host: a', 'Host: a'), 400, 'repeated-host'],
  ['an empty Host', withHost(''), 400, 'bad-host'],
  ['an empty Host in HTTP/1.0', get10('Host: '), 400, 'bad-host'],
  ['an empty Host and another', lines('GET / HTTP/1.1', 'Host:', 'Host: a'), 400, 'bad-host'],
  ['Hosts with a comma', withHost('a,b'), 400, 'bad-host'],
  ['Host with a path', withHost('a/b'), 400, 'bad-host'],
  ['Host with a query', withHost('a?b'), 400, 'bad-host'],
  ['Host with a fragment', withHost('a#b'), 400, 'bad-host'],
  ['Host with userinfo', withHost('u@a'), 400, 'bad-host'],
  ['Host with a space', withHost('a b'), 400, 'bad-host'],
  ['Host with a tab', withHost('a\tb'), 400, 'bad-host'],
  ['Host with a backslash', withHost('a\\b'), 400, 'bad-host'],
  ['Host with a quote', withHost('a"b'), 400, 'bad-host'],
  ['Host with an angle bracket', withHost('a<b'), 400, 'bad-host'],
  ['Host that is not ASCII', withHost('b\xfccher'), 400, 'bad-host'],
  ['Host with a bad escape', withHost('a%2'), 400, 'bad-host'],
  ['Host with a port only', withHost(':80'), 400, 'bad-host'],
  ['Host with two ports', withHost('a:80:81'), 400, 'bad-host'],
  ['Host with a named port', withHost('a:http'), 400, 'bad-host'],
  ['Host with a port that is too large', withHost('a:65536'), 400, 'bad-host'],
  ['Host with a port of six digits', withHost('a:000080'), 400, 'bad-host'],
  ['Host with IPv6 outside brackets', withHost('::1'), 400, 'bad-host'],
  ['Host with a bad IPv6', withHost('[:::1]'), 400, 'bad-host'],
  ['Host with an open bracket', withHost('[::1'), 400, 'bad-host'],
  ['Host with an IPv4 in brackets', withHost('[127.0.0.1]'), 400, 'bad-host'],
  ['Host with an IPv6 zone', withHost('[fe80::1%25eth0]'), 400, 'bad-host'],
  ['Host with a future address', withHost('[v1.x]'), 400, 'bad-host'],
  ['Host with text after the address', withHost('[::1]a'), 400, 'bad-host'],
  ['a bare LF between fields', `${get()}\nA: b`, 400, 'bare-lf'],
  ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: a', 400, 'bare-lf'],
  ['a bare LF in a value', get('A: b\nc'), 400, 'bare-lf'],
  ['a bare CR between fields', `${get()}\rA: b`, 400, 'bare-cr'],
  ['a bare CR in a value', get('A: b\rc'), 400, 'bare-cr'],
  ['a bare CR in the request line', lines('GET /\r HTTP/1.1', 'Host: a'), 400, 'bare-cr'],
  ['two CRs before an LF', `${get()}\r\r\nA: b`, 400, 'bare-cr'],
  ['a CR at the end', `${get()}\r`, 400, 'bare-cr'],
  ['a line feed first', `\n${get()}`, 400, 'bare-lf'],
  ['an empty line first', `\r\n${get()}`, 400, 'field-without-colon'],
  ['an empty line at the end', `${get()}\r\n`, 400, 'empty-line'],
  ['an empty line in between', get('', 'A: b'), 400, 'empty-line'],
  ['a folded line', get('A: b', ' c'), 400, 'obs-fold'],
  ['a line folded with a tab', get('A: b', '\tc: d'), 400, 'obs-fold'],
  ['white space before the first field', lines('GET / HTTP/1.1', ' Host: a'), 400, 'obs-fold'],
  ['a space before the colon', get('A : b'), 400, 'space-before-colon'],
  ['a tab before the colon', get('Transfer-Encoding\t: chunked'), 400, 'space-before-colon'],
  ['no colon', get('A b'), 400, 'field-without-colon'],
  ['a name alone', get('A'), 400, 'field-without-colon'],
  ['an empty name', get(': b'), 400, 'empty-field-name'],
  ['a space in a name', get('A b: c'), 400, 'bad-field-name'],
  ['a parenthesis in a name', get('A(b): c'), 400, 'bad-field-name'],
  ['a quote in a name', get('"A": c'), 400, 'bad-field-name'],
  ['a slash in a name', get('A/b: c'), 400, 'bad-field-name'],
  ['a name that is not ASCII', get('\xc4: b'), 400, 'bad-field-name'],
  ['NUL in a name', get('A\0: b'), 400, 'bad-field-name'],
  ['DEL in a name', get('A\x7f: b'), 400, 'bad-field-name'],
  ['NUL in a value', get('A: b\0'), 400, 'control-character'],
  ['a vertical tab in a value', get('A: b\x0bc'), 400, 'control-character'],
  ['a form feed before a coding', post('Transfer-Encoding: \x0cchunked'), 400, 'control-character'],
  ['ESC in a value', get('A: \x1b[31m'), 400, 'control-character'],
  ['DEL in a value', get('A: b\x7f'), 400, 'control-character'],
  ['a character beyond latin1', get('A: \u010a'), 400, 'control-character'],
  ['a field too many', get(...Array.from({ length: MOST_HEAD.httpHeaderCount }, () => 'A: b')), 431, 'too-many-fields'],
  ['two Content-Lengths', post('Content-Length: 5', 'Content-Length: 6'), 400, 'repeated-content-length'],
  ['two equal Content-Lengths', post('Content-Length: 5', 'content-length: 5'), 400, 'repeated-content-length'],
  ['two zero Content-Lengths', post('Content-Length: 0', 'content-length: 0'), 400, 'repeated-content-length'],
  ...[
    '',
    '+5',
    '-5',
    '5,5',
    '5, 5',
    '5 5',
    '0x5',
    '5.0',
    '5e1',
    '5;',
    'five',
    '\xb2',
    '9007199254740992',
    '18446744073709551616',
    '00000000000000005',
  ].map((value): [string, string, number, RefusalCode] => [
    `Content-Length: ${value}`,
    post(`Content-Length: ${value}`),
    400,
    'bad-content-length',
  ]),
  [
    'Content-Length with Transfer-Encoding',
    post('Content-Length: 5', 'Transfer-Encoding: chunked'),
    400,
    'length-with-transfer-encoding',
  ],
  [
    'Transfer-Encoding with Content-Length',
    post('Transfer-Encoding: chunked', 'Content-Length: 0'),
    400,
    'length-with-transfer-encoding',
  ],
  ['both in HTTP/1.0', get10('Content-Length: 5', 'Transfer-Encoding: chunked'), 400, 'length-with-transfer-encoding'],
  ['Transfer-Encoding in HTTP/1.0', get10('Transfer-Encoding: chunked'), 400, 'transfer-encoding-in-http10'],
  [
    'two Transfer-Encodings',
    post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
    400,
    'repeated-transfer-encoding',
  ],
  [
    'two different Transfer-Encodings',
    post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
    400,
    'repeated-transfer-encoding',
  ],
  ...[
    '',
    'xchunked',
    'chunkedx',
    'identity',
    'gzip',
    'chunked, identity',
    'chunked, chunked',
    'chunked,',
    ',chunked',
    'chunked;a=b',
    '"chunked"',
    'chun ked',
    'chunked\tx',
  ].map((value): [string, string, number, RefusalCode] => [
    `Transfer-Encoding: ${value}`,
    post(`Transfer-Encoding: ${value}`),
    400,
    'bad-transfer-encoding',
  ]),
  ['a tab after the length', post('Content-Length: 5\t'), 400, 'bad-content-length'],
  ['a tab after the coding', post('Transfer-Encoding: chunked\t'), 400, 'bad-transfer-encoding'],
  ['gzip, chunked', post('Transfer-Encoding: gzip, chunked'), 501, 'unknown-transfer-coding'],
  ['a Connection that is no list of tokens', get('Connection: close keep-alive'), 400, 'bad-connection'],
  ['a Connection with a quoted string', get('Connection: "close"'), 400, 'bad-connection'],
  ['a tab after close', get('Connection: close\t'), 400, 'bad-connection'],
  ['a tab between options', get('Connection: close\t, x'), 400, 'bad-connection'],
  ['another expectation', get('Expect: 200-ok'), 417, 'unknown-expectation'],
  ['an empty expectation', get('Expect:'), 417, 'unknown-expectation'],
  ['two expectations in one line', get('Expect: 100-continue, x'), 417, 'unknown-expectation'],
  ['another expectation in HTTP/1.0', get10('Expect: x'), 417, 'unknown-expectation'],
]

t.test('is taken and read as', async t => {
  for (const [title, input, expected] of TAKEN) t.strictSame(parseRequestHead(input), { ...PLAIN, ...expected }, title)
})

t.test('is refused', async t => {
  for (const [title, input, status, expected] of REFUSED) {
    const result = parseRequestHead(input)
    if (!isRefusal(result)) t.fail(`taken: ${title}`, { result })
    else t.strictSame([result.refused, result.status], [expected, status], title)
  }
})

t.test('every byte in every place is taken or refused, and none but HTAB and what is printable is taken', async t => {
  const places: [place: string, head: (byte: string) => string, taken: RegExp][] = [
    ['method', byte => method(`GE${byte}T`), /(?!)/],
    ['target', byte => target(`/a${byte}b`), /[^ #\\]/],
    ['query', byte => target(`/?a${byte}b`), /[^ #]/],
    ['name', byte => get(`A${byte}b: c`), /[\w!#$%&'*+.^`|~:-]/],
    ['value', byte => get(`A: b${byte}c`), /[\t -~\x80-\xff]/],
    ['host', byte => withHost(`a${byte}1`), /[\w.~!$&'()*+;=:-]/],
    ['content-length', byte => post(`Content-Length: 1${byte}1`), /\d/],
  ]
  for (const [place, head, taken] of places) {
    for (let code = 0; code < 256; code++) {
      const byte = String.fromCharCode(code)
      const expected = taken.test(byte) && (/[ -~]/.test(byte) || place === 'value')
      t.equal(!isRefusal(parseRequestHead(head(byte))), expected, `${place}: 0x${code.toString(16)}`)
    }
  }
})

t.test('no head makes a separator of the link appear in a part', async t => {
  for (const [title, input] of TAKEN) {
    const head = parseRequestHead(input)
    if (isRefusal(head)) throw new Error(`refused: ${title}`)
    const fields = head.headers.split('\n').length - 1
    t.equal(fields % 2, 0, `pairs: ${title}`)
    t.notMatch(head.method + head.target + head.host, '\n', title)
  }
})

t.test('reads a long head in linear time', async t => {
  // 1 MB each; anything quadratic would take minutes. The suite's own timeout fails it.
  const long = 1024 * 1024
  for (const filler of [' ', '\t', 'a', '\xff', ',', ':', '%41', 'a,']) {
    const text = filler.repeat(long / filler.length)
    parseRequestHead(get(`A: ${text}b`))
    parseRequestHead(get(`${text}: b`))
    parseRequestHead(get(`Connection: ${text}`))
    parseRequestHead(withHost(text))
    parseRequestHead(target(`/${text}`))
    parseRequestHead(method(text))
    parseRequestHead(post(`Transfer-Encoding: ${text}`))
  }
  t.pass('done')
})

t.test('headerValue', async t => {
  const head = parseRequestHead(get('Accept: x', 'X: Accept', 'accept: y', 'Empty:', 'Cookie: a=b', 'Last: z'))
  if (isRefusal(head)) throw new Error('refused')
  const cases: [name: string, expected: string | undefined][] = [
    ['host', 'a'],
    ['accept', 'x, y'],
    ['x', 'Accept'],
    ['empty', ''],
    ['cookie', 'a=b'],
    ['last', 'z'],
    ['missing', undefined],
    ['z', undefined],
    ['', undefined],
  ]
  for (const [name, expected] of cases) t.equal(headerValue(head, name), expected, name)
  const bare = parseRequestHead(get10())
  t.equal(isRefusal(bare) ? 'refused' : headerValue(bare, 'host'), undefined, 'no fields at all')
})

t.test('overlongHead', async t => {
  t.equal(overlongHead(`GET /${'x'.repeat(100)}`).status, 414, 'still in the request line')
  t.equal(overlongHead('GET / HTTP/1.1\r\nHo').status, 431, 'in the fields')
})
