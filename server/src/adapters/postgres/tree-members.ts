import type pg from 'pg'
import { KIND_LEGACY } from '@cairn/protocol/digest'
import type { FoundMembers, TreeMembers } from '../../domain/ports.ts'

const MD5_BYTES = 16
/** Files in one question: some 20 ms of work here and of the database each. */
const BATCH = 20_000

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
  const missing = createMd5Set()
  let known = 0
  let bytes = 0
  for (let from = 0; from < count; from += BATCH) {
    const batch = md5s.subarray(from * MD5_BYTES, (from + BATCH) * MD5_BYTES)
    const { rows } = await pool.query<Answer>({
      name: 'tree-members',
      text: `select string_agg(o.id::text, ',') as ids, coalesce(sum(o.size), 0)::bigint as bytes,
               string_agg(x.place::text, ',' order by x.place) filter (where o.id is null) as absent
             from unnest($2::uuid[]) with ordinality as x (md5, place)
             left join object o on o.project_id = $1 and o.md5 = x.md5 and o.kind = $3 and o.state = 'live'`,
      values: [projectId, uuidArray(batch), legacy ? KIND_LEGACY : 0],
    })
    const [answer] = rows
    bytes += answer?.bytes ?? 0
    for (const id of numbersOf(answer?.ids)) ids[known++] = id
    for (const place of numbersOf(answer?.absent)) missing.add(batch, (place - 1) * MD5_BYTES)
  }
  return { missing: missing.bytes(), present: distinct(ids.subarray(0, known)), bytes }
}

/** md5s as the literal of an array parameter. */
function uuidArray(md5s: Uint8Array): string {
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

/** md5s in the order they came, each once: an open-addressing table of places in one buffer. md5 is its own hash. */
function createMd5Set(): { add(bytes: Uint8Array, offset: number): void; bytes(): Uint8Array } {
  let held: Buffer = Buffer.alloc(0)
  let slots = new Uint32Array(0)
  let count = 0
  const slotOf = (md5: Buffer): number => {
    let slot = md5.readUInt32LE(0) & (slots.length - 1)
    for (let at = slots[slot] ?? 0; at !== 0; at = slots[slot] ?? 0) {
      if (held.compare(md5, 0, MD5_BYTES, (at - 1) * MD5_BYTES, at * MD5_BYTES) === 0) return slot
      slot = (slot + 1) & (slots.length - 1)
    }
    return slot
  }
  const grow = () => {
    const capacity = Math.max(1024, count * 2)
    held = Buffer.concat([held], capacity * MD5_BYTES)
    slots = new Uint32Array(capacity * 2)
    for (let at = 0; at < count; at++) slots[slotOf(held.subarray(at * MD5_BYTES, (at + 1) * MD5_BYTES))] = at + 1
  }
  return {
    add(bytes, offset) {
      if (count * MD5_BYTES === held.length) grow()
      const md5 = Buffer.from(bytes.buffer, bytes.byteOffset + offset, MD5_BYTES)
      const slot = slotOf(md5)
      if (slots[slot] !== 0) return
      md5.copy(held, count * MD5_BYTES)
      slots[slot] = ++count
    },
    bytes: () => held.subarray(0, count * MD5_BYTES),
  }
}
