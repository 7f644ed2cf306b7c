/** What a map has at a key; where it has nothing, what is made and put there. */
export function found<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

/** The same of a map of maps. */
export const within = <Outer, Inner, Value>(maps: Map<Outer, Map<Inner, Value>>, key: Outer): Map<Inner, Value> =>
  found(maps, key, () => new Map<Inner, Value>())
