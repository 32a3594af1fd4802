import type pg from 'pg'
import { type Digest, isLegacy, kindOf, md5Of } from '@cairn/protocol/digest'
import { MD5_BYTES } from '../../domain/md5-table.ts'
import type { Catalog, FoundMembers, NewTree } from '../../domain/ports/catalog.ts'
import { batches, digestOfRow, numberArray } from './digest-array.ts'
import { holdsAny, packIds, unpackIds } from './id-list.ts'
import { inTransaction, passGate, type Queryable } from './pool.ts'
import { findChangedMembers, findFiles, findMembers, merged } from './tree-members.ts'

type Trees = Pick<
  Catalog,
  'findMembers' | 'findChangedMembers' | 'linkTree' | 'holdTree' | 'linkHeldTree' | 'markDamaged' | 'mendTrees'
>

/** Trees read at once: each up to some megabytes of members. */
const PAGE = 32

export function createTrees(pool: pg.Pool): Trees {
  return {
    findMembers: (projectId, members) => findMembers(pool, projectId, members),
    findChangedMembers: (projectId, base, changes) => findChangedMembers(pool, projectId, base, changes),
    holdTree: (projectId, digest, tree) => inTransaction(pool, (client) => holdTree(client, projectId, digest, tree)),
    linkHeldTree: (projectId, digest) => inTransaction(pool, (client) => linkHeldTree(client, projectId, digest)),
    linkTree: (projectId, digest, tree) => inTransaction(pool, (client) => linkTree(client, projectId, digest, tree)),
    markDamaged: (projectId, objectIds) => inTransaction(pool, (client) => markDamaged(client, projectId, objectIds)),
    mendTrees: (projectId) => inTransaction(pool, (client) => mendTrees(client, projectId)),
  }
}

/** The members stay live until the commit, since nobody passes the gate to take one away. */
async function linkTree(client: Queryable, projectId: number, digest: Digest, tree: NewTree): Promise<boolean> {
  await passGate(client, projectId, 'shared')
  if (!(await hasLiveMembers(client, projectId, tree))) return false
  const id = await makeLive(client, projectId, digest)
  if (id === undefined) return false
  await writeTree(client, projectId, id, tree, null)
  return true
}

async function makeLive(client: Queryable, projectId: number, digest: Digest): Promise<number | undefined> {
  const { rows } = await client.query<{ id: number }>(
    `update object set state = 'live' where project_id = $1 and md5 = $2 and kind = $3 and state <> 'damaged' returning id`,
    [projectId, md5Of(digest), kindOf(digest)],
  )
  return rows[0]?.id
}

async function writeTree(client: Queryable, projectId: number, id: number, tree: NewTree, lacking: Buffer | null): Promise<void> {
  await client.query(
    `insert into tree (object_id, project_id, entries, bytes, members, lacking) values ($1, $2, $3, $4, $5, $6)
     on conflict (object_id) do update set entries = excluded.entries, bytes = excluded.bytes, members = excluded.members,
       lacking = excluded.lacking, broken = false`,
    [id, projectId, tree.entries, tree.bytes, packIds(tree.members), lacking],
  )
}

async function hasLiveMembers(client: Queryable, projectId: number, { members, vouched }: NewTree): Promise<boolean> {
  if (vouched === undefined) return areLive(client, projectId, members)
  // Whoever damages a member marks the tree that holds it in the same transaction, behind the gate.
  const { rowCount } = await client.query(
    `select from tree t join object o on o.id = t.object_id
     where t.object_id = $2 and t.project_id = $1 and not t.broken and o.state = 'live'`,
    [projectId, vouched.base],
  )
  return rowCount === 1 && (await areLive(client, projectId, vouched.others))
}

/** From here on damage to a member marks the waiting tree as well, so that its commit need not look at each again. */
async function holdTree(
  client: Queryable,
  projectId: number,
  digest: Digest,
  tree: NewTree & Pick<FoundMembers, 'missing' | 'times'>,
): Promise<boolean> {
  await passGate(client, projectId, 'shared')
  if (!(await hasLiveMembers(client, projectId, tree))) return false
  const { rows } = await client.query<{ id: number }>(
    `select id from object where project_id = $1 and md5 = $2 and kind = $3 and state = 'pending' for update`,
    [projectId, md5Of(digest), kindOf(digest)],
  )
  const id = rows[0]?.id
  if (id === undefined) return false
  await writeTree(client, projectId, id, tree, packLacking(tree))
  return true
}

async function linkHeldTree(client: Queryable, projectId: number, digest: Digest): Promise<Uint8Array | undefined> {
  await passGate(client, projectId, 'shared')
  const { rows } = await client.query<{ entries: number; bytes: number; members: Buffer; lacking: Buffer }>(
    `select t.entries, t.bytes, t.members, t.lacking from object o join tree t on t.object_id = o.id
     where o.project_id = $1 and o.md5 = $2 and o.kind = $3 and o.state = 'pending' and not t.broken and t.lacking is not null
     for update of o`,
    [projectId, md5Of(digest), kindOf(digest)],
  )
  const [held] = rows
  if (held === undefined) return undefined
  const { md5s, times } = unpackLacking(held.lacking)
  const files = await findFiles(client, projectId, md5s, isLegacy(digest))
  const lost = files.flatMap((file, place) => (file ? [] : [md5s.subarray(place * MD5_BYTES, (place + 1) * MD5_BYTES)]))
  if (lost.length > 0) return Buffer.concat(lost)
  const id = await makeLive(client, projectId, digest)
  if (id === undefined) return undefined
  const members = merged(
    held.members,
    files.flatMap((file) => file?.id ?? []),
  )
  const bytes = files.reduce((sum, file, place) => sum + (file?.size ?? 0) * (times[place] ?? 0), held.bytes)
  await writeTree(client, projectId, id, { entries: held.entries, bytes, members }, null)
  return new Uint8Array()
}

const LACKING_BYTES = MD5_BYTES + 4

function packLacking({ missing, times }: Pick<FoundMembers, 'missing' | 'times'>): Buffer {
  const count = missing.length / MD5_BYTES
  const packed = Buffer.allocUnsafe(count * LACKING_BYTES)
  for (let at = 0; at < count; at++) {
    packed.set(missing.subarray(at * MD5_BYTES, (at + 1) * MD5_BYTES), at * LACKING_BYTES)
    packed.writeUInt32LE(times[at] ?? 1, at * LACKING_BYTES + MD5_BYTES)
  }
  return packed
}

function unpackLacking(packed: Buffer): { md5s: Uint8Array; times: number[] } {
  const count = packed.length / LACKING_BYTES
  const md5s = new Uint8Array(count * MD5_BYTES)
  const times: number[] = []
  for (let at = 0; at < count; at++) {
    md5s.set(packed.subarray(at * LACKING_BYTES, at * LACKING_BYTES + MD5_BYTES), at * MD5_BYTES)
    times.push(packed.readUInt32LE(at * LACKING_BYTES + MD5_BYTES))
  }
  return { md5s, times }
}

async function areLive(client: Queryable, projectId: number, members: Iterable<number>): Promise<boolean> {
  for (const batch of batches([...members])) {
    const { rows } = await client.query<{ live: number }>(
      `select count(*) as live from object where id = any ($2::bigint[]) and project_id = $1 and state = 'live'`,
      [projectId, numberArray(batch)],
    )
    if (rows[0]?.live !== batch.length) return false
  }
  return true
}

async function markDamaged(client: Queryable, projectId: number, objectIds: readonly number[]): Promise<Digest[]> {
  await passGate(client, projectId, 'exclusive')
  for (const batch of batches(objectIds)) {
    await client.query(
      `update object set state = 'damaged', damaged_at = now() where project_id = $1 and id = any ($2::bigint[]) and state <> 'damaged'`,
      [projectId, numberArray(batch)],
    )
  }
  const lost = new Set(objectIds)
  const holders: number[] = []
  for await (const tree of readTrees(client, projectId, { broken: false }))
    if (holdsAny(tree.members, lost)) holders.push(tree.id)
  return setBroken(client, holders, true)
}

async function mendTrees(client: Queryable, projectId: number): Promise<Digest[]> {
  await passGate(client, projectId, 'shared')
  const whole: number[] = []
  for await (const tree of readTrees(client, projectId, { broken: true })) {
    if (await areLive(client, projectId, unpackIds(tree.members))) whole.push(tree.id)
  }
  return setBroken(client, whole, false)
}

/** The project's trees by ascending id, a page at a time; indexes tree_project and tree_broken. */
async function* readTrees(
  client: Queryable,
  projectId: number,
  { broken }: { broken: boolean },
): AsyncGenerator<{ id: number; members: Buffer }> {
  for (let after = 0; ;) {
    const { rows } = await client.query<{ id: number; members: Buffer }>(
      `select object_id as id, members from tree where project_id = $1 and object_id > $2 and broken = ${broken} order by object_id limit ${PAGE}`,
      [projectId, after],
    )
    yield* rows
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.id
  }
}

async function setBroken(client: Queryable, treeIds: readonly number[], broken: boolean): Promise<Digest[]> {
  const { rows } = await client.query<{ md5: string; kind: number }>(
    `update tree t set broken = $2 from object o where o.id = t.object_id and t.object_id = any ($1::bigint[]) returning o.md5, o.kind`,
    [numberArray(treeIds), broken],
  )
  return rows.map(digestOfRow)
}
