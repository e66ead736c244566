/**
 * The rows of the option table that say how static files are found and sent. A part of `front-options.ts`; `options.ts`
 * explains a row.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import * as staticKind from '../kinds/static-kinds.js'

const DAY = 86_400_000
const MEGABYTE = 1024 ** 2

/** What all `static-expires*` rows share. */
const expires = {
  section: 'front',
  default: null,
  repeatable: true,
  takesEffect: 'live',
} as const

/** In the order in which the reference prints them, behind `check-static`. */
export const STATIC_OPTIONS = {
  'static-map2': {
    section: 'front',
    kind: kind.staticMap,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'static-map2', nginx: 'location … root' },
    summary: 'As `static-map`, but the mount stays a part of the path: `/assets/x` is FOLDER`/assets/x`.',
    example: 'static-map2 = /assets=public',
    setting: 'staticMap',
    neededBy: ['master'],
  },
  'static-index': {
    section: 'front',
    kind: staticKind.fileName,
    default: 'index.html',
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'static-index', nginx: 'index' },
    summary: 'File that is served for a folder; of several the first that exists.',
    example: 'static-index = index.htm',
    setting: 'staticIndex',
    neededBy: ['proxy'],
  },
  'static-skip-ext': {
    section: 'front',
    kind: staticKind.nameEnding,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'static-skip-ext' },
    summary: 'Names with this ending are never served as files; the application gets the request.',
    example: 'static-skip-ext = .php',
    setting: 'staticSkipExt',
    neededBy: ['proxy'],
  },
  'static-safe': {
    section: 'front',
    kind: kind.path('chdir'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'static-safe', nginx: 'disable_symlinks' },
    summary:
      'Folder to which links in static folders may lead. Without it a link that leaves its static folder is not ' +
      'followed.',
    example: 'static-safe = /srv/shared/media',
    setting: 'staticSafe',
    neededBy: ['master', 'proxy'],
  },
  'static-fallback': {
    section: 'front',
    kind: staticKind.fallback,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { nginx: 'try_files … /index.html' },
    summary:
      'Page of a single-page application: GET and HEAD below MOUNT get the file MOUNT`/`FILE if no file and no ' +
      'mount of the application responds and a browser navigates: `Sec-Fetch-Mode: navigate`, or without that ' +
      'field an `Accept` that names `text/html`. The longest mount counts.',
    example: 'static-fallback = /=index.html',
    setting: 'staticFallback',
    neededBy: ['proxy'],
  },
  'asset-grace': {
    section: 'front',
    kind: kind.time(0, 30 * DAY),
    default: '0',
    takesEffect: 'live',
    summary:
      'How long files of the previous release stay reachable after a reload for which static folders moved (a link ' +
      'leads to the new release), for pages that are still open. Only files that the new release lacks are served ' +
      'from there.',
    example: 'asset-grace = 1h',
    setting: 'assetGraceMs',
    neededBy: ['master'],
  },
  'static-precompressed': {
    section: 'front',
    kind: staticKind.siblingCoding,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'static-gzip', nginx: 'gzip_static, brotli_static' },
    summary:
      'Look for compressed siblings `NAME.br`, `NAME.zst` or `NAME.gz` and send the one that the client prefers by ' +
      '`Accept-Encoding`; of equals `br` before `zst` before `gz`. A sibling older than its file is not used.',
    example: 'static-precompressed = br',
    setting: 'staticPrecompressed',
    neededBy: ['proxy'],
  },
  'static-gzip-all': {
    section: 'front',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { uwsgi: 'static-gzip-all', nginx: 'gzip_static' },
    summary: 'The same as `static-precompressed = gz`.',
    example: 'static-gzip-all = true',
    setting: 'staticPrecompressed',
    neededBy: ['proxy'],
  },
  'static-immutable': {
    section: 'front',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { nginx: 'add_header Cache-Control' },
    summary:
      'Send names with a hash of the content with `Cache-Control: max-age=31536000, immutable`, and also ' +
      'everything below `/_next/static/` (Next) and `/_app/immutable/` (SvelteKit). A hash stands after `.` or `-` ' +
      'and before a dot: 8 to 64 lower-case hexadecimal digits with a digit and a letter among them; or 8 letters ' +
      'and digits, a digit and a capital among them, that are all of `A-Z2-7` or change kind three times.',
    example: 'static-immutable = true',
    setting: 'staticImmutable',
    neededBy: ['proxy'],
  },
  'static-expires': {
    ...expires,
    kind: staticKind.patternExpires,
    replaces: { uwsgi: 'static-expires', nginx: 'expires' },
    summary:
      '`Expires` and `Cache-Control` of files whose whole path matches: this many seconds from the response on. ' +
      'The first rule that matches counts: types, then files, then paths, then URIs; all rules of `-mtime` come ' +
      'after them.',
    example: 'static-expires = /assets/.*\\.js$ 86400',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-expires-mtime': {
    ...expires,
    kind: staticKind.patternExpires,
    replaces: { uwsgi: 'static-expires-mtime', nginx: 'expires modified' },
    summary: 'As `static-expires`, from the modification time of the file on.',
    example: 'static-expires-mtime = \\.html$ 3600',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-expires-type': {
    ...expires,
    kind: staticKind.typeExpires,
    replaces: { uwsgi: 'static-expires-type', nginx: 'expires $map' },
    summary: 'As `static-expires`, by content type.',
    example: 'static-expires-type = text/css=3600',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-expires-type-mtime': {
    ...expires,
    kind: staticKind.typeExpires,
    replaces: { uwsgi: 'static-expires-type-mtime' },
    summary: 'As `static-expires-type`, from the modification time of the file on.',
    example: 'static-expires-type-mtime = text/html=60',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-expires-path-info': {
    ...expires,
    kind: staticKind.patternExpires,
    replaces: { uwsgi: 'static-expires-path-info' },
    summary: 'As `static-expires`, by the decoded path of the request.',
    example: 'static-expires-path-info = ^/img/ 3600',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-expires-path-info-mtime': {
    ...expires,
    kind: staticKind.patternExpires,
    replaces: { uwsgi: 'static-expires-path-info-mtime' },
    summary: 'As `static-expires-path-info`, from the modification time of the file on.',
    example: 'static-expires-path-info-mtime = ^/img/ 3600',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-expires-uri': {
    ...expires,
    kind: staticKind.patternExpires,
    replaces: { uwsgi: 'static-expires-uri' },
    summary:
      'As `static-expires`, by the target of the request as received. The target includes the query, so each query ' +
      'makes an entry of the cache.',
    example: 'static-expires-uri = [?]v=\\d+$ 31536000',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-expires-uri-mtime': {
    ...expires,
    kind: staticKind.patternExpires,
    replaces: { uwsgi: 'static-expires-uri-mtime' },
    summary: 'As `static-expires-uri`, from the modification time of the file on.',
    example: 'static-expires-uri-mtime = [?]v=\\d+$ 31536000',
    setting: 'staticExpires',
    neededBy: ['proxy'],
  },
  'static-cache-size': {
    section: 'front',
    kind: kind.size(0, 64 * 1024 * MEGABYTE),
    default: '32m',
    takesEffect: 'live',
    replaces: { uwsgi: 'static-cache-paths', nginx: 'open_file_cache' },
    summary:
      'Memory that each proxy may use for small files, their compressed forms, and facts about large files. What ' +
      'it holds was checked on disk less than a second ago. 0: every request checks the disk.',
    example: 'static-cache-size = 256m',
    setting: 'staticCacheSizeBytes',
    neededBy: ['proxy'],
  },
  'static-cache-file-size': {
    section: 'front',
    // Its content is copied once a second behind a new Date.
    kind: kind.size(0, MEGABYTE),
    default: '128k',
    takesEffect: 'live',
    summary:
      'Largest file that is kept in memory whole. Larger static files are not compressed by `http-auto-gzip`, ' +
      '`http-auto-br` and `http-auto-zstd`.',
    example: 'static-cache-file-size = 1m',
    setting: 'staticCacheFileSizeBytes',
    neededBy: ['proxy'],
  },
  'static-cache-entries': {
    section: 'front',
    kind: kind.wholeNumber(1, 1_000_000),
    default: '4096',
    takesEffect: 'live',
    replaces: { nginx: 'open_file_cache max=' },
    summary: 'Files that each proxy remembers. The one that was requested longest ago is forgotten first.',
    example: 'static-cache-entries = 20000',
    setting: 'staticCacheEntries',
    neededBy: ['proxy'],
  },
} as const satisfies Record<string, OptionRow>
