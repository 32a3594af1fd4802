import { digestFrom, kindOf, md5Of, type Digest } from '@cairn/protocol/digest'

/** The size of a batch, in objects: about 30 ms a question, and far below the protocol's limits. */
export const BATCH = 10_000

export function* batches<T>(values: readonly T[], size = BATCH): Generator<readonly T[]> {
  for (let start = 0; start < values.length; start += size)
    yield values.length <= size ? values : values.slice(start, start + size)
}

/**
 * Digests as the two parameters of `unnest($::uuid[], $::smallint[])`. The array literals are written here, since the
 * driver would quote every element.
 */
export function digestArrays(digests: readonly Digest[]): [md5s: string, kinds: string] {
  return [`{${digests.map(md5Of).join(',')}}`, `{${digests.map(kindOf).join(',')}}`]
}

/** Numbers as the literal of an array parameter. */
export const numberArray = (numbers: readonly number[]): string => `{${numbers.join(',')}}`

/** The digest of a row: a uuid is written with dashes. */
export const digestOfRow = (row: { md5: string; kind: number }): Digest => digestFrom(row.md5.replaceAll('-', ''), row.kind)

/** The order of the unique index of digests: rows are always locked in it, so that no two transactions wait for each other. */
export function compareDigests(a: Digest, b: Digest): number {
  const left = md5Of(a)
  const right = md5Of(b)
  return left < right ? -1 : left > right ? 1 : kindOf(a) - kindOf(b)
}
