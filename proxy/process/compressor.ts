/**
 * Streams that compress, and the bound on how many may be open. One `Compressors` per proxy and configuration, shared
 * by the body filters and the static files. zlib's asynchronous streams do the work in the thread pool, so the proxy's
 * loop never waits for it.
 */

import type { Transform } from 'node:stream'
import zlib from 'node:zlib'
import type { ProxySettings } from '../../kit/channel/messages.js'
import type { ContentCoding } from '../../kit/options/values/value-types.js'
import type { Coding } from '../http/content-coding.js'

/** A stream of `node:zlib`: bytes that are written come out compressed. */
export type Compressor = Transform & { flush(kind: number): void; close(): void }

/** Parts that Node 22.15 has and the declarations of Node 20 lack. */
interface ZstdDoors {
  createZstdCompress?(options: { params: Record<number, number> }): Compressor
}

/** `ZSTD_c_compressionLevel`, `ZSTD_c_windowLog` and `ZSTD_e_flush` of zstd.h, which Node's constants repeat. */
const ZSTD_LEVEL = 100
const ZSTD_WINDOW_LOG = 101
const ZSTD_FLUSH = 1
/** Windows of 256 KB: enough for a page, and about 1 MB of memory per stream, while brotli's usual window takes 16. */
const WINDOW_LOG = 18

/** Which codings are wanted and how hard each tries, which responses are compressed, and how many at the same time. */
export type CompressionSettings = Pick<
  ProxySettings,
  | 'httpAutoGzip'
  | 'httpAutoBr'
  | 'httpAutoZstd'
  | 'gzipTypes'
  | 'gzipMinLengthBytes'
  | 'gzipCompLevel'
  | 'brotliCompLevel'
  | 'zstdCompLevel'
  | 'gzipStreams'
>

/** The codings that this Node can make. */
export function isAvailable(coding: ContentCoding): boolean {
  return coding !== 'zstd' || (zlib as ZstdDoors).createZstdCompress !== undefined
}

export class Compressors {
  readonly #levels: Record<ContentCoding, number>
  readonly offered: readonly ContentCoding[]
  /** With the choice to leave a response as it is. */
  readonly choices: readonly Coding[]
  readonly types: ReadonlySet<string>
  readonly minBytes: number
  /** The most streams that may be open. */
  readonly most: number
  #open = 0

  constructor(settings: CompressionSettings) {
    this.#levels = { zstd: settings.zstdCompLevel, br: settings.brotliCompLevel, gzip: settings.gzipCompLevel }
    this.offered = wantedCodings(settings).filter(isAvailable)
    this.choices = [...this.offered, 'identity']
    this.types = new Set(settings.gzipTypes)
    this.minBytes = settings.gzipMinLengthBytes
    this.most = settings.gzipStreams
  }

  get open(): number {
    return this.#open
  }

  /** Null: the most streams are open. A stream counts until its `close` event, which `destroy` causes. */
  make(coding: ContentCoding): Compressor | null {
    if (this.#open >= this.most) return null
    this.#open += 1
    const compressor = create(coding, this.#levels[coding])
    compressor.once('close', () => {
      this.#open -= 1
    })
    return compressor
  }
}

/** If the client likes several equally: the one with the best ratio of size and time first. */
function wantedCodings({ httpAutoZstd, httpAutoBr, httpAutoGzip }: CompressionSettings): ContentCoding[] {
  const wanted = { zstd: httpAutoZstd, br: httpAutoBr, gzip: httpAutoGzip }
  return (['zstd', 'br', 'gzip'] as const).filter(coding => wanted[coding])
}

/** Brings out all bytes written so far, without ending the stream. */
export function flushCompressor(compressor: Compressor, coding: ContentCoding): void {
  compressor.flush(FLUSH[coding])
}

const FLUSH: Record<ContentCoding, number> = {
  gzip: zlib.constants.Z_SYNC_FLUSH,
  br: zlib.constants.BROTLI_OPERATION_FLUSH,
  zstd: ZSTD_FLUSH,
}

function create(coding: ContentCoding, level: number): Compressor {
  if (coding === 'gzip') return zlib.createGzip({ level })
  if (coding === 'br') {
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN } = zlib.constants
    return zlib.createBrotliCompress({ params: { [BROTLI_PARAM_QUALITY]: level, [BROTLI_PARAM_LGWIN]: WINDOW_LOG } })
  }
  const { createZstdCompress } = zlib as ZstdDoors
  if (createZstdCompress === undefined) throw new Error('this Node has no zstd')
  return createZstdCompress({ params: { [ZSTD_LEVEL]: level, [ZSTD_WINDOW_LOG]: WINDOW_LOG } })
}
