/**
 * The sections `[location:PREFIX]` of the INI, compiled once for each new configuration: which settings hold for a
 * path. As for routes, a prefix matches whole segments. The narrowest place that gives a setting wins; what it does not
 * give comes from the next wider one, and at last from the whole service.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { LocationSettings } from '../../kit/options/settings.js'

/** The settings that may differ from place to place, all of them. */
export type PlacedSettings = Pick<ProxySettings, keyof LocationSettings>

export class Locations {
  readonly #ofService: PlacedSettings
  /** The longest prefix first; each ends with a slash. */
  readonly #places: { inside: string; settings: PlacedSettings }[]

  constructor(settings: PlacedSettings & Pick<ProxySettings, 'locations'>) {
    this.#ofService = settings
    const places = settings.locations
      .map(({ prefix, settings }) => ({ inside: prefix === '/' ? prefix : `${prefix}/`, settings }))
      .sort((a, b) => a.inside.length - b.inside.length)
    this.#places = places
      .map(({ inside }) => {
        const around = places.filter(place => inside.startsWith(place.inside))
        return { inside, settings: Object.assign({}, settings, ...around.map(place => place.settings)) }
      })
      .reverse()
  }

  /** The settings for a path that was decoded and has no dot segments. */
  at(path: string): PlacedSettings {
    if (this.#places.length === 0) return this.#ofService
    const inside = `${path}/`
    return this.#places.find(place => inside.startsWith(place.inside))?.settings ?? this.#ofService
  }
}
