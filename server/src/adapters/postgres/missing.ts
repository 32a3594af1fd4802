import type pg from 'pg'
import { KIND_TREE, PACKED_DIGEST_BYTES } from '@cairn/protocol/digest'

const MD5_BYTES = 16
/** Digests in one query: some 10 MB in all here and in the database. */
const BATCH = 50_000
const KINDS = [0, 1, 2, 3] as const

interface Answer {
  /** Both packed, or null when nothing was found: a row for each digest would cost ten times as much as the search. */
  places: Buffer | null
  ids: Buffer | null
}

/**
 * Those of the packed digests that are not present, packed, in their order; the ids of the others, in any order. Works on
 * bytes from end to end: a million strings and rows would cost more than the million searches. A digest's kind is one of 0–3.
 */
export async function findMissing(
  pool: pg.Pool,
  projectId: number,
  packed: Uint8Array,
): Promise<{ missing: Uint8Array; present: Float64Array }> {
  const count = packed.length / PACKED_DIGEST_BYTES
  const known = new Uint8Array(count)
  const present = new Float64Array(count)
  let found = 0
  for (const kind of KINDS) {
    const places = inIndexOrder(packed, placesOf(packed, kind))
    for (let from = 0; from < places.length; from += BATCH) {
      const batch = places.subarray(from, from + BATCH)
      const answer = await ask(pool, projectId, kind, uuidArray(packed, batch))
      for (const at of numbers(answer.places, 4)) known[batch[at - 1] ?? 0] = 1
      for (const id of numbers(answer.ids, 8)) present[found++] = id
    }
  }
  return { missing: without(packed, known), present: present.subarray(0, found) }
}

async function ask(pool: pg.Pool, projectId: number, kind: number, md5s: Buffer): Promise<Answer> {
  const tree = (kind & KIND_TREE) !== 0
  const { rows } = await pool.query<Answer>({
    name: tree ? 'missing-trees' : 'missing-files',
    // One search of object_digest for each, whatever the planner thinks of the table: this plan is kept, and may be older than
    // most of the rows.
    text: `select string_agg(int4send(x.place::int), '') as places, string_agg(int8send(o.id), '') as ids
       from unnest((select $2::uuid[])) with ordinality as x (md5, place)
       cross join lateral (
         select o.id from object o ${tree ? 'join tree t on t.object_id = o.id and not t.broken' : ''}
         where o.project_id = $1 and o.md5 = x.md5 and o.kind = $3::smallint and o.state = 'live' limit 1) as o`,
    values: [projectId, md5s, kind],
  })
  return rows[0] ?? { places: null, ids: null }
}

/** Where digests of this kind stand in the list. */
function placesOf(packed: Uint8Array, kind: number): Uint32Array {
  const places = new Uint32Array(packed.length / PACKED_DIGEST_BYTES)
  let count = 0
  for (let at = 0; at < places.length; at++) {
    if (packed[at * PACKED_DIGEST_BYTES + MD5_BYTES] === kind) places[count++] = at
  }
  return places.subarray(0, count)
}

/** By the first four bytes of the md5: neighbours share a page of the index, which is then read once and not for each. */
function inIndexOrder(packed: Uint8Array, places: Uint32Array): Uint32Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
  const keys = Float64Array.from(places, (place) => view.getUint32(place * PACKED_DIGEST_BYTES) * PLACES + place).sort()
  return Uint32Array.from(keys, (key) => key % PLACES)
}

/** More than a list may have, few enough for a prefix and a place to fit into a double. */
const PLACES = 2 ** 21

const UUID_TYPE = 2950
const ARRAY_HEADER_BYTES = 20

/** A uuid[] in the binary form of the database's protocol, which the driver uses for a buffer. */
function uuidArray(packed: Uint8Array, places: Uint32Array): Buffer {
  const array = Buffer.allocUnsafe(ARRAY_HEADER_BYTES + places.length * (4 + MD5_BYTES))
  for (const [at, value] of [1, 0, UUID_TYPE, places.length, 1].entries()) array.writeInt32BE(value, at * 4)
  let to = ARRAY_HEADER_BYTES
  for (const place of places) {
    to = array.writeInt32BE(MD5_BYTES, to)
    const from = place * PACKED_DIGEST_BYTES
    array.set(packed.subarray(from, from + MD5_BYTES), to)
    to += MD5_BYTES
  }
  return array
}

/** Big-endian numbers of 4 or 8 bytes. */
function* numbers(bytes: Buffer | null, length: 4 | 8): Generator<number> {
  if (!bytes) return
  for (let at = 0; at < bytes.length; at += length) {
    const low = bytes.readUInt32BE(at + length - 4)
    yield length === 4 ? low : bytes.readUInt32BE(at) * 2 ** 32 + low
  }
}

function without(packed: Uint8Array, known: Uint8Array): Uint8Array {
  const rest = new Uint8Array(known.reduce((sum, flag) => sum + (1 - flag), 0) * PACKED_DIGEST_BYTES)
  let to = 0
  for (let at = 0; at < known.length; at++) {
    if (known[at] === 1) continue
    const from = at * PACKED_DIGEST_BYTES
    rest.set(packed.subarray(from, from + PACKED_DIGEST_BYTES), to)
    to += PACKED_DIGEST_BYTES
  }
  return rest
}
