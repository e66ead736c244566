/**
 * Makes foreign text (of an application, another user's process, a file) safe for a terminal. All output of commands
 * passes `printable` in `command.ts`; `control-answer.ts` and the tables also keep such text on its line. Pure.
 */

import { UNFIT_BEYOND_C0 } from '../../kit/log/log.js'

/** C0 except tab and newline, and what else a terminal acts on. */
const UNFIT = new RegExp(`[\\x00-\\x08\\x0b-\\x1f${UNFIT_BEYOND_C0}]+`, 'g')

/** The text with a blank for each run of such characters; tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(UNFIT, ' ')
}

/** Colours and other renditions of ECMA-48, which many applications print. */
const RENDITION = /(\x1b\[[\d;]{0,40}m)/

/** Lines of another user's process for our terminal. As `printable`, but colours stay, and end with the text. */
export function printableLines(text: string): string {
  const parts = text.split(RENDITION)
  if (parts.length === 1) return printable(text)
  const shown = parts.map((part, index) => (index % 2 === 1 ? part : printable(part))).join('')
  return `${shown}\x1b[0m`
}

/** The same as a paragraph: only its first line begins at the margin, where our own lines begin. */
export function printableParagraph(text: string): string {
  return printable(text).trimEnd().replaceAll('\n', '\n  ')
}
