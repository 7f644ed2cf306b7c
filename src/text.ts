/** Postgres stores neither NUL nor half a surrogate pair. */
export const storable = (text: string): string => text.replaceAll('\0', '\ufffd').toWellFormed()

/** What a text becomes that comes piece by piece. */
export type PieceRewriter = {
  next(piece: string): string
  /** What was held back, once the text is over; then another may begin. */
  rest(): string
}

/** Makes pieces storable, where a cut may go through the middle of a pair: its first half waits for the second. */
export function wellFormed(): PieceRewriter {
  let half = ''
  return {
    next(piece) {
      const text = half + piece
      half = /[\ud800-\udbff]$/.exec(text)?.[0] ?? ''
      return storable(text.slice(0, text.length - half.length))
    },
    rest() {
      const last = storable(half)
      half = ''
      return last
    },
  }
}

/** One after the other. */
export function inSeries(rewriters: readonly PieceRewriter[]): PieceRewriter {
  return {
    next: (piece) => rewriters.reduce((text, rewriter) => (text === '' ? '' : rewriter.next(text)), piece),
    // What one held back goes through those behind it, before they give what they held back themselves.
    rest: () => rewriters.reduce((text, rewriter) => (text === '' ? '' : rewriter.next(text)) + rewriter.rest(), ''),
  }
}
