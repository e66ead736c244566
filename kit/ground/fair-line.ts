/**
 * A short waiting line for a scarce thing, fair between clients: a client that asks a thousand times only delays
 * itself. The owner decides when the next member has its turn, and when a member has waited too long. Pure.
 *
 * Order: the lower lane, then the client whose last turn is longest ago, then the lower `since`. Memory: the members in
 * line, and the last clients that had a turn. If no place is left, a newcomer may displace a member: the last one in
 * line of the client with the most members. It does so if it would go before that member, or if its own client has
 * fewer members.
 */

export interface Waiter {
  /** From `clientKey`. */
  client: string
  lane: number
  since: number
  /** Another member has its place now. */
  displaced(): void
}

/** Clients whose last turn is remembered. */
const REMEMBERED = 256

export class FairLine<Member extends Waiter> {
  readonly #places: number
  readonly #placesOfClient: number
  readonly #waiting: Member[] = []
  /** By client: the number of its last turn. */
  readonly #turns = new Map<string, number>()
  #lastTurn = 0

  /** `places`: in all. `placesOfClient`: for one client. */
  constructor(places: number, placesOfClient = places) {
    this.#places = places
    this.#placesOfClient = placesOfClient
  }

  get length(): number {
    return this.#waiting.length
  }

  /** False: there is no place for it. */
  join(member: Member): boolean {
    const mine = this.#of(member.client)
    if (mine.length >= this.#placesOfClient) return this.#displace(lastOf(mine), member, false)
    if (this.#waiting.length >= this.#places) {
      const most = this.#mostOfOneClient()
      return this.#displace(lastOf(most), member, most.length > mine.length + 1)
    }
    this.#waiting.push(member)
    return true
  }

  /** Does nothing if the member is not in line. */
  leave(member: Member): void {
    const at = this.#waiting.indexOf(member)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  /** Takes the next one out of the line. */
  next(): Member | undefined {
    const [first] = [...this.#waiting].sort(
      (a, b) => a.lane - b.lane || this.#turnOf(a) - this.#turnOf(b) || a.since - b.since,
    )
    if (first === undefined) return undefined
    this.leave(first)
    this.#turns.delete(first.client)
    this.#turns.set(first.client, ++this.#lastTurn)
    const [oldest] = this.#turns.keys()
    if (this.#turns.size > REMEMBERED && oldest !== undefined) this.#turns.delete(oldest)
    return first
  }

  #turnOf({ client }: Member): number {
    return this.#turns.get(client) ?? 0
  }

  #of(client: string): Member[] {
    return this.#waiting.filter(member => member.client === client)
  }

  #mostOfOneClient(): Member[] {
    const clients = new Set(this.#waiting.map(({ client }) => client))
    return Array.from(clients, client => this.#of(client)).reduce((most, some) => {
      const isMore = some.length > most.length || (some.length === most.length && isBefore(lastOf(most), lastOf(some)))
      return isMore ? some : most
    }, [])
  }

  #displace(last: Member | undefined, member: Member, isFair: boolean): boolean {
    if (last === undefined || !(isFair || isBefore(member, last))) return false
    this.leave(last)
    this.#waiting.push(member)
    last.displaced()
    return true
  }
}

function isBefore(one: Waiter | undefined, other: Waiter | undefined): boolean {
  if (one === undefined || other === undefined) return other !== undefined
  return one.lane < other.lane || (one.lane === other.lane && one.since < other.since)
}

function lastOf<Member extends Waiter>(members: Member[]): Member | undefined {
  return members.reduce<Member | undefined>((last, one) => (isBefore(one, last) ? last : one), undefined)
}
