/**
 * "Did you mean …?": the known name that is nearest to a misspelt one. Used for options, commands and values. Pure.
 */

/** A shorter text is the beginning of too many names. */
const LEAST_BEGINNING = 4

/**
 * The nearest of `names` by edits (insert, delete, replace, swap neighbours), else one that begins so; null when none
 * is near enough to be meant.
 */
export function nearestName(given: string, known: Iterable<string>): string | null {
  const wanted = normalize(given)
  // A longer text than any name cannot be near, and must not cost a table of its length.
  if (wanted === '' || wanted.length > 64) return null
  const names = [...known]
  let nearest: string | null = null
  let best = Math.floor(wanted.length / 3) + 1
  for (const name of names) {
    // Each character that one of the two has more is an edit.
    if (Math.abs(name.length - wanted.length) >= best) continue
    const distance = countEdits(wanted, normalize(name))
    if (distance < best) {
      best = distance
      nearest = name
    }
  }
  return nearest ?? nearestLonger(wanted, names)
}

/** Whether the two differ in nothing but case and `_` for `-`. */
export function sameName(a: string, b: string): boolean {
  return normalize(a) === normalize(b)
}

/** ` (did you mean x?)`, or nothing: the end of a message. */
export function didYouMean(name: string | null): string {
  return name === null ? '' : ` (did you mean \`${name}\`?)`
}

/** The shortest name that begins with the text, for a user who does not know the whole name. */
function nearestLonger(wanted: string, names: readonly string[]): string | null {
  if (wanted.length < LEAST_BEGINNING) return null
  const [shortest = null] = names.filter(name => normalize(name).startsWith(wanted)).sort((a, b) => a.length - b.length)
  return shortest
}

/** Case, and `_` for `-`, are the commonest mistakes, so they do not count as edits. */
function normalize(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** Optimal string alignment distance. */
function countEdits(a: string, b: string): number {
  let older: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let edits = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) edits = Math.min(edits, (older[column - 2] ?? 0) + 1)
      current.push(edits)
    }
    older = previous
    previous = current
  }
  return previous[b.length] ?? 0
}
