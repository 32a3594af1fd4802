/**
 * Like `Promise.all(Array.from(items, fn))` with at most `limit` calls under way. Results keep the order. After the first
 * failure no further call starts; it rejects with that failure once the calls under way have settled.
 */
export async function mapLimit<T, R>(
  items: Iterable<T>,
  limit: number,
  fn: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const iterator = items[Symbol.iterator]()
  let next = 0
  let failure: { error: unknown } | undefined

  async function takeTurns(): Promise<void> {
    while (!failure) {
      const turn = iterator.next()
      if (turn.done) return
      const index = next++
      try {
        results[index] = await fn(turn.value, index)
      } catch (error) {
        failure ??= { error }
      }
    }
  }

  await Promise.all(Array.from({ length: Math.max(1, Math.floor(limit)) }, takeTurns))
  if (failure) throw failure.error
  return results
}
