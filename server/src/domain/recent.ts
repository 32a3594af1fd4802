/** Values that never change under their key, those used last: bounded by what they cost, in bytes. */
export interface Recent<T> {
  find(key: string): T | undefined
  /** What is kept already stays. */
  keep(key: string, value: T): void
}

export function createRecent<T>(mostBytes: number, costOf: (value: T) => number): Recent<T> {
  const values = new Map<string, T>()
  let used = 0
  return {
    find(key) {
      const value = values.get(key)
      if (value === undefined) return undefined
      // The one unused for longest stands first.
      values.delete(key)
      values.set(key, value)
      return value
    },
    keep(key, value) {
      if (values.has(key)) return
      values.set(key, value)
      used += costOf(value)
      for (const [oldest, kept] of values) {
        if (used <= mostBytes) break
        values.delete(oldest)
        used -= costOf(kept)
      }
    },
  }
}
