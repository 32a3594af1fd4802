import type pg from 'pg'
import { KIND_LEGACY } from '@cairn/protocol/digest'
import { createCounts, createMd5Table, MD5_BYTES } from '../../domain/md5-table.ts'
import type { ChangedMembers, FoundMembers, TreeMembers } from '../../domain/ports/catalog.ts'
import { unpackIds } from './id-list.ts'
import type { Queryable } from './pool.ts'

/** Files in one question: some 20 ms of work here and of the database each. */
const BATCH = 20_000

/** One search of object_digest for each: a plan that is kept may be older than most of the rows. */
const ONE_LIVE = `select o.id, o.size from object o
  where o.project_id = $1 and o.md5 = x.md5 and o.kind = $3 and o.state = 'live' limit 1`

interface Answer {
  /** Comma-separated: a row for each of a million files would be a million objects here. */
  ids: string | null
  bytes: number
  absent: string | null
}

/** Asks in batches; the index is object_digest. */
export async function findMembers(pool: pg.Pool, projectId: number, { md5s, legacy }: TreeMembers): Promise<FoundMembers> {
  const count = md5s.length / MD5_BYTES
  const ids = new Float64Array(count)
  const missing = createMd5Table()
  const times = createCounts()
  let known = 0
  let bytes = 0
  for (let from = 0; from < count; from += BATCH) {
    const batch = md5s.subarray(from * MD5_BYTES, (from + BATCH) * MD5_BYTES)
    const { rows } = await pool.query<Answer>({
      name: 'tree-members',
      text: `select string_agg(o.id::text, ',') as ids, coalesce(sum(o.size), 0)::bigint as bytes,
               string_agg(x.place::text, ',' order by x.place) filter (where o.id is null) as absent
             from unnest($2::uuid[]) with ordinality as x (md5, place)
             left join lateral (${ONE_LIVE}) as o on true`,
      values: [projectId, uuidArray(batch), legacy ? KIND_LEGACY : 0],
    })
    const [answer] = rows
    bytes += answer?.bytes ?? 0
    for (const id of numbersOf(answer?.ids)) ids[known++] = id
    for (const place of numbersOf(answer?.absent)) times.add(missing.place(batch, (place - 1) * MD5_BYTES))
  }
  const counted = Array.from({ length: missing.count }, (_, place) => times.of(place))
  return { missing: missing.bytes(), times: counted, present: distinct(ids.subarray(0, known)), bytes }
}

/** md5s as the literal of an array parameter. */
export function uuidArray(md5s: Uint8Array): string {
  const hex = Buffer.from(md5s.buffer, md5s.byteOffset, md5s.byteLength).toString('hex')
  return `{${hex.replace(/.{32}(?=.)/g, '$&,')}}`
}

const numbersOf = (list: string | null | undefined): number[] => (list ? list.split(',').map(Number) : [])

function distinct(ids: Float64Array): number[] {
  ids.sort()
  const once: number[] = []
  for (const id of ids) if (id !== once.at(-1)) once.push(id)
  return once
}

export interface FoundFile {
  id: number
  size: number
}

/** The live files of these md5s, by their place among them. Of few: a row each. */
export async function findFiles(
  client: Queryable,
  projectId: number,
  md5s: Uint8Array,
  legacy: boolean,
): Promise<Array<FoundFile | undefined>> {
  const found: Array<FoundFile | undefined> = Array.from({ length: md5s.length / MD5_BYTES })
  for (let from = 0; from < found.length; from += BATCH) {
    const batch = md5s.subarray(from * MD5_BYTES, (from + BATCH) * MD5_BYTES)
    const { rows } = await client.query<FoundFile & { place: number }>(
      `select x.place, o.id, o.size from unnest($2::uuid[]) with ordinality as x (md5, place)
       cross join lateral (${ONE_LIVE}) as o`,
      [projectId, uuidArray(batch), legacy ? KIND_LEGACY : 0],
    )
    for (const { place, id, size } of rows) found[from + place - 1] = { id, size }
  }
  return found
}

/** The base's members with what changed; undefined when the base cannot vouch for them. */
export async function findChangedMembers(
  pool: pg.Pool,
  projectId: number,
  base: number,
  changes: ChangedMembers & { legacy: boolean },
): Promise<FoundMembers | undefined> {
  const { rows } = await pool.query<{ members: Buffer; bytes: number }>(
    `select t.members, t.bytes from tree t join object o on o.id = t.object_id
     where t.object_id = $2 and t.project_id = $1 and not t.broken and o.state = 'live'`,
    [projectId, base],
  )
  const [tree] = rows
  if (tree === undefined) return undefined
  const { md5s, before, after, legacy } = changes
  const files = await findFiles(pool, projectId, md5s, legacy)
  let { bytes } = tree
  const [others, gone] = [new Set<number>(), new Set<number>()]
  const missing: number[] = []
  for (const [place, file] of files.entries()) {
    const [was, is] = [before[place] ?? 0, after[place] ?? 0]
    if (file === undefined && was > 0) return undefined
    if (file === undefined) missing.push(place)
    else {
      bytes += file.size * (is - was)
      if (was === 0) others.add(file.id)
      else if (is === 0) gone.add(file.id)
    }
  }
  const present = merged(tree.members, others, gone)
  const lacking = Buffer.concat(missing.map((place) => md5s.subarray(place * MD5_BYTES, (place + 1) * MD5_BYTES)))
  return {
    missing: lacking,
    times: missing.map((place) => after[place] ?? 0),
    present,
    bytes,
    vouched: { base, others: [...others] },
  }
}

/** Packed ids with some more and some less, ascending, without doubles. */
export function merged(packed: Uint8Array, more: Iterable<number>, less: ReadonlySet<number> = new Set()): number[] {
  const ids: number[] = []
  const waiting = [...new Set(more)].sort((a, b) => b - a)
  for (const id of unpackIds(packed)) {
    for (let next = waiting.at(-1); next !== undefined && next <= id; next = waiting.at(-1)) {
      waiting.pop()
      if (next < id) ids.push(next)
    }
    if (!less.has(id)) ids.push(id)
  }
  return ids.concat(waiting.reverse())
}
