/** Functions that Node has and its type declarations lack. */

declare global {
  interface Buffer {
    /**
     * `toString('latin1', start, end)` without the look-up of the encoding's name; on the hot path of every request.
     */
    latin1Slice(start?: number, end?: number): string
    /** `write(text, offset, 'latin1')` without the same; the number of bytes written. */
    latin1Write(text: string, offset?: number): number
  }

  interface String {
    /** With U+FFFD in place of each lone surrogate, as UTF-8 has it. Source: ECMA-262, 22.1.3.31. */
    toWellFormed(): string
  }

  namespace NodeJS {
    interface Process {
      /**
       * Sets the supplementary groups to those of `user` and `extraGroup`. Source: Node's documentation of `process`.
       */
      initgroups?(user: string | number, extraGroup: string | number): void
    }
  }
}

export {}
