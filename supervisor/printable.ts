/**
 * What others wrote (an application, another user's process, a file), made fit for a terminal. Everything that the
 * commands print passes `printable` in `daimyo.ts`; `control-answer.ts` and the tables keep it to its line besides.
 * Pure.
 */

/**
 * C0 but tab and newline, DEL and C1, which move the cursor and set the terminal; marks and overrides of the writing
 * direction and line separators (UAX #9, UAX #14), which make a text look like another.
 */
const UNFIT = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g

/** The text with a blank for each run of such characters; tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(UNFIT, ' ')
}

/** The same as a paragraph: no line but the first begins at the margin, where our own lines do. */
export function printableParagraph(text: string): string {
  return printable(text).trimEnd().replaceAll('\n', '\n  ')
}
