/**
 * The first characters of a text, as a text of its own. V8's `slice` refers to the text that it was cut from: 100
 * characters of a message of 4 MB that are kept for a log would keep all 4 MB.
 */
export function cutText(text: string, characters: number): string {
  return Buffer.from(text.slice(0, characters), 'utf16le').toString('utf16le')
}
