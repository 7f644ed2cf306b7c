/** Many a test makes texts of its own. */
const mostTexts = 2000

/**
 * The same function, which finds out once what it says of a text: an app has some dozens of statements, and its tests run
 * them thousands of times.
 */
export function onceForEach<T extends NonNullable<unknown> | null>(find: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return (text) => {
    const before = known.get(text)
    if (before !== undefined) return before
    const found = find(text)
    if (known.size >= mostTexts) known.clear()
    known.set(text, found)
    return found
  }
}
