/**
 * The part of a request body that can be sent to a worker, or again to another one: pieces that together cost little
 * more than their bytes. Pure.
 */

/**
 * Longer pieces are not joined: their size outweighs the cost of a piece, some hundred bytes. Node's pool does not hold
 * them either.
 */
const LONGEST_BYTES = 4096

/**
 * Adds a piece. A client may send each byte in a packet of its own, and each read is as small. A piece is joined to the
 * one before it if that is at most twice as long. So only a few short pieces stand at the end, and a byte is copied a
 * few times, not once per piece.
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
