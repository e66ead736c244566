/**
 * The request fields that the response with a file depends on (RFC 9110 §13 and §14). `request-head.ts` collects them,
 * so that a file in memory needs no second look at the fields; `preconditions.ts` judges them. Pure.
 */

/** Several lines of one name are joined with `, `. */
export interface Conditions {
  'if-match'?: string | undefined
  'if-none-match'?: string | undefined
  'if-modified-since'?: string | undefined
  'if-unmodified-since'?: string | undefined
  'if-range'?: string | undefined
  range?: string | undefined
}

export const NO_CONDITIONS: Readonly<Conditions> = {}

/** `conditions` with one more line; `name` is one of their names, in any case. */
export function withCondition(conditions: Conditions | null, name: string, value: string): Conditions {
  const all = conditions ?? blankConditions()
  const key = conditionOf(name)
  const earlier = all[key]
  all[key] = earlier === undefined ? value : `${earlier}, ${value}`
  return all
}

/** `conditions` without those whose names (in small letters) are in `names`. */
export function withoutConditions(conditions: Conditions | null, names: ReadonlySet<string>): Conditions | null {
  if (conditions === null) return null
  for (const key of Object.keys(conditions) as (keyof Conditions)[]) if (names.has(key)) conditions[key] = undefined
  return conditions
}

/** All keys at once: objects of one shape are read faster. */
function blankConditions(): Conditions {
  return {
    'if-match': undefined,
    'if-none-match': undefined,
    'if-modified-since': undefined,
    'if-unmodified-since': undefined,
    'if-range': undefined,
    range: undefined,
  }
}

function conditionOf(name: string): keyof Conditions {
  switch (name.length) {
    case 'range'.length:
      return 'range'
    case 'if-match'.length:
      return (name.charCodeAt(3) | 32) === LETTER_M ? 'if-match' : 'if-range'
    case 'if-none-match'.length:
      return 'if-none-match'
    case 'if-modified-since'.length:
      return 'if-modified-since'
    default:
      return 'if-unmodified-since'
  }
}

const LETTER_M = 109
