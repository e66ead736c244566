/**
 * What of a request's body is replayable, until there is a worker or for another one: bytes in pieces, as many as they
 * are worth. Called by `request-lifecycle.ts`. Pure.
 */

/**
 * Longer pieces are not put together: their own size outweighs what each costs, some hundred bytes. Nor does Node's
 * pool hold these.
 */
const LONGEST_BYTES = 4096

/**
 * Adds a piece. A client may send each byte in a packet of its own, and a read is as small. Pieces that have at most
 * twice as many bytes before them as they are long are joined to those: so only a few short ones ever stand at the end,
 * and a byte is copied a few times, not at each piece.
 */
export function addPiece(replayable: Buffer[], bytes: Buffer): void {
  replayable.push(bytes)
  for (let last = replayable.length - 1; last > 0; last -= 1) {
    const [before, behind] = [replayable[last - 1]!, replayable[last]!]
    if (before.length > behind.length * 2 || before.length + behind.length > LONGEST_BYTES) return
    replayable.length = last
    replayable[last - 1] = Buffer.concat([before, behind])
  }
}
