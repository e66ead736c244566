/**
 * The rows of the option table that say what becomes of responses on their way: compression, files in the place of an
 * response, error pages. A part of `front-options.ts`; `options.ts` explains a row.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'

/** In the order in which the reference prints them, behind those of static files. */
export const RESPONSE_OPTIONS = {
  'http-auto-gzip': {
    section: 'front',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-auto-gzip', nginx: 'gzip' },
    summary:
      'Compress responses of the application, and static files, with gzip for clients that accept it. Only the ' +
      'media types of `gzip-types` are compressed, and nothing that is small, coded already, partial or marked ' +
      '`no-transform`. Over TLS, an attacker can guess a secret of a page from its compressed length if the page ' +
      'also repeats what the client sent (BREACH): send such pages with `Cache-Control: no-transform`. A static ' +
      'file is compressed once, in the background, and its compressed form is kept in memory with it ' +
      '(`static-cache-size`). Until then it is sent as it is; so is a file that does not get smaller or is larger ' +
      'than `static-cache-file-size`. If a file has a sibling of that coding (`static-precompressed`), the sibling ' +
      'is sent.',
    example: 'http-auto-gzip = true',
    setting: 'httpAutoGzip',
    neededBy: ['proxy'],
  },
  'http-auto-br': {
    section: 'front',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { nginx: 'brotli' },
    summary:
      'As `http-auto-gzip`, with brotli. A client that accepts several codings equally gets zstd before br before ' +
      'gzip; siblings of a file go before all of them.',
    example: 'http-auto-br = true',
    setting: 'httpAutoBr',
    neededBy: ['proxy'],
  },
  'http-auto-zstd': {
    section: 'front',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { nginx: 'zstd' },
    summary:
      'As `http-auto-gzip`, with zstd, which Node has from 22.15 on; with an older one the option changes nothing ' +
      'and daimyo says so.',
    example: 'http-auto-zstd = true',
    setting: 'httpAutoZstd',
    neededBy: ['proxy'],
  },
  'gzip-types': {
    section: 'front',
    kind: kind.mediaTypes,
    default:
      'text/html text/css text/plain text/xml text/javascript application/javascript application/json application/xml ' +
      'application/manifest+json application/ld+json application/problem+json image/svg+xml',
    takesEffect: 'live',
    replaces: { nginx: 'gzip_types' },
    summary:
      'Media types that are compressed, with any of the codings; replaces the default. Each piece that the ' +
      'application writes is sent at once, so event streams may be among them.',
    example: 'gzip-types = text/* application/json',
    setting: 'gzipTypes',
    neededBy: ['proxy'],
  },
  'gzip-min-length': {
    section: 'front',
    kind: kind.size(0, 16 * 1024 ** 2),
    default: '1k',
    takesEffect: 'live',
    replaces: { nginx: 'gzip_min_length' },
    summary:
      'Smaller responses and files are not compressed. A response whose length is not known when it begins is ' +
      'compressed.',
    example: 'gzip-min-length = 512',
    setting: 'gzipMinLengthBytes',
    neededBy: ['proxy'],
  },
  'gzip-comp-level': {
    section: 'front',
    kind: kind.wholeNumber(1, 9),
    default: '1',
    takesEffect: 'live',
    replaces: { nginx: 'gzip_comp_level' },
    summary: 'How hard gzip tries: 1 is fast, 9 is small.',
    example: 'gzip-comp-level = 5',
    setting: 'gzipCompLevel',
    neededBy: ['proxy'],
  },
  'brotli-comp-level': {
    section: 'front',
    kind: kind.wholeNumber(0, 11),
    default: '4',
    takesEffect: 'live',
    replaces: { nginx: 'brotli_comp_level' },
    summary: 'How hard brotli tries: 0 is fast, 11 is small and very slow.',
    example: 'brotli-comp-level = 5',
    setting: 'brotliCompLevel',
    neededBy: ['proxy'],
  },
  'zstd-comp-level': {
    section: 'front',
    kind: kind.wholeNumber(1, 19),
    default: '3',
    takesEffect: 'live',
    replaces: { nginx: 'zstd_comp_level' },
    summary: 'How hard zstd tries: 1 is fast, 19 is small and slow.',
    example: 'zstd-comp-level = 1',
    setting: 'zstdCompLevel',
    neededBy: ['proxy'],
  },
  'gzip-streams': {
    section: 'front',
    kind: kind.wholeNumber(1, 100_000),
    default: '256',
    takesEffect: 'live',
    summary:
      'Responses that one proxy compresses at the same time, at most two of them static files. Each takes up to 1 ' +
      'MB, also while its client does not read. One more is sent uncompressed. As many static files may wait for ' +
      'their turn.',
    example: 'gzip-streams = 64',
    setting: 'gzipStreams',
    neededBy: ['proxy'],
  },
  internal: {
    section: 'front',
    kind: kind.staticMap,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { nginx: 'internal' },
    summary:
      'Send a file of FOLDER when the application responds with `X-Accel-Redirect: PREFIX/…`. The body of its ' +
      'response is dropped with the fields that describe it; its other fields are kept. Clients cannot request ' +
      'such a path; a path below no PREFIX gets 404.',
    example: 'internal = /protected=/srv/files',
    setting: 'internal',
    neededBy: ['master'],
  },
  'x-sendfile-root': {
    section: 'front',
    kind: kind.path('chdir'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'file-serve-mode' },
    summary:
      'Folder from which files are sent when the application responds with `X-Sendfile: /absolute/path` ' +
      '(percent-encoded). Files outside such folders get 404. Dot files are not sent.',
    example: 'x-sendfile-root = /srv/files',
    setting: 'xSendfileRoot',
    neededBy: ['master'],
  },
  'error-page': {
    section: 'front',
    kind: kind.errorPage,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'error-page-403, error-page-404, error-page-500', nginx: 'error_page' },
    summary:
      'Page for responses with this status that a proxy sends in its own name, UTF-8 text of up to 64 KB; the ' +
      'status stays. The file is read at the start and at each reload. Responses of the application are not ' +
      'replaced.',
    example: 'error-page = 502,503,504=public/busy.html',
    setting: 'errorPage',
    neededBy: ['proxy'],
  },
} as const satisfies Record<string, OptionRow>
