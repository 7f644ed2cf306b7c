/** What the sweeps read of a route of Elysia's. */
export type AnyRoute = { readonly method: string; readonly path: string }

/** `GET /notes/:id`, as entries of sweeps are called. */
export const keyOf = ({ method, path }: AnyRoute): string => `${method} ${path}`

/** Preflights carry no credentials and reach no handler, so no sweep calls them. */
export const swept = <Route extends AnyRoute>(routes: readonly Route[]): Route[] =>
  routes.filter(({ method }) => method !== 'OPTIONS')

/** Routes that nothing says how to call, and entries whose route is gone. */
export function gaps(routes: readonly AnyRoute[], entries: object): string[] {
  const [found, described] = [swept(routes).map(keyOf), Object.keys(entries)]
  return [
    ...found.filter((key) => !described.includes(key)).map((key) => `${key} has no entry: say how to call it.`),
    ...described.filter((key) => !found.includes(key)).map((key) => `${key} is no route: remove its entry.`),
  ]
}

/** Whether a request to this path can be for this route. */
export function isAt({ path: pattern }: AnyRoute, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.replace(/[?#].*$/, '').split('/')]
  return (
    (wanted.length === given.length || wanted.includes('*')) &&
    wanted.every((part, at) => part === given[at] || part === '*' || (part.startsWith(':') && given[at] !== ''))
  )
}

/** Throws all of it at once; nothing where there is nothing. */
export function failWith(what: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(`${what}\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
}

/** As sweeps register what they check. */
export type Register<All> = (name: string, body: (all: All) => unknown, options?: { timeout: number }) => void

/** Hundreds of requests in one test take longer than bun's 5 s where the machine is busy. */
export const patient = { timeout: 60_000 }
