/** Bytes from `start` up to `end`, which is not in it. */
export interface Span {
  start: number
  end: number
}

/** Spans in ascending order that neither meet nor overlap, with one more. Pure. */
export function addSpan(spans: readonly Span[], added: Span): Span[] {
  if (added.end <= added.start) return [...spans]
  const before = spans.filter((span) => span.end < added.start)
  const after = spans.filter((span) => span.start > added.end)
  const met = spans.slice(before.length, spans.length - after.length)
  const start = Math.min(added.start, ...met.map((span) => span.start))
  const end = Math.max(added.end, ...met.map((span) => span.end))
  return [...before, { start, end }, ...after]
}

/** What they leave out of `size` bytes. Pure. */
export function missingSpans(spans: readonly Span[], size: number): Span[] {
  const missing: Span[] = []
  let position = 0
  for (const span of spans) {
    if (span.start > position) missing.push({ start: position, end: Math.min(span.start, size) })
    position = Math.max(position, span.end)
    if (position >= size) return missing
  }
  if (position < size) missing.push({ start: position, end: size })
  return missing
}

/** How many bytes are there from the start on without a gap. Pure. */
export function prefixLength(spans: readonly Span[]): number {
  const first = spans[0]
  return first?.start === 0 ? first.end : 0
}

/** Cuts spans into pieces of at most `length` bytes, in order. Pure. */
export function cutSpans(spans: readonly Span[], length: number): Span[] {
  const pieces: Span[] = []
  for (const { start, end } of spans)
    for (let at = start; at < end; at += length) pieces.push({ start: at, end: Math.min(end, at + length) })
  return pieces
}
