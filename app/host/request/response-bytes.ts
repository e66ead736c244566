/** The bytes that an application writes, in the form in which the link takes them. Pure. */

/** Larger buffers travel as they are; smaller ones are copied into the string of the frame. */
const COPY_BYTES = 4096

/** A string that stands for its bytes (latin1), or a buffer if copying would cost more than a frame of its own. */
export function asBytes(chunk: string | Buffer, encoding: BufferEncoding): string | Buffer {
  if (typeof chunk !== 'string') return chunk.length <= COPY_BYTES ? chunk.latin1Slice() : chunk
  if (encoding === 'latin1' || encoding === 'binary') return chunk
  if ((encoding === 'utf8' || encoding === 'utf-8' || encoding === 'ascii') && isAscii(chunk)) return chunk
  const bytes = Buffer.from(chunk, encoding)
  return bytes.length <= COPY_BYTES ? bytes.latin1Slice() : bytes
}

/**
 * A regular expression takes twice as long: `node:http` has joined the text of two parts, and the expression would have
 * to flatten it.
 */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

export function asLatin1(bytes: string | Buffer): string {
  return typeof bytes === 'string' ? bytes : bytes.latin1Slice()
}
