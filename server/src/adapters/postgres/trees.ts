import type pg from 'pg'
import { kindOf, md5Of, type Digest } from '@cairn/protocol/digest'
import type { Catalog, NewTree } from '../../domain/ports.ts'
import { batches, digestOfRow, numberArray } from './digest-array.ts'
import { holdsAny, packIds, unpackIds } from './id-list.ts'
import { inTransaction, passGate, type Queryable } from './pool.ts'
import { findMembers } from './tree-members.ts'

type Trees = Pick<Catalog, 'findMembers' | 'linkTree' | 'markDamaged' | 'mendTrees'>

/** Trees read at once: each up to some megabytes of members. */
const PAGE = 32

export function createTrees(pool: pg.Pool): Trees {
  return {
    findMembers: (projectId, members) => findMembers(pool, projectId, members),
    linkTree: (projectId, digest, tree) => inTransaction(pool, (client) => linkTree(client, projectId, digest, tree)),
    markDamaged: (projectId, objectIds) => inTransaction(pool, (client) => markDamaged(client, projectId, objectIds)),
    mendTrees: (projectId) => inTransaction(pool, (client) => mendTrees(client, projectId)),
  }
}

/** The members stay live until the commit, since nobody passes the gate to take one away. */
async function linkTree(client: Queryable, projectId: number, digest: Digest, tree: NewTree): Promise<boolean> {
  await passGate(client, projectId, 'shared')
  if (!(await areLive(client, projectId, tree.members))) return false
  const { rows } = await client.query<{ id: number }>(
    `update object set state = 'live' where project_id = $1 and md5 = $2 and kind = $3 and state <> 'damaged' returning id`,
    [projectId, md5Of(digest), kindOf(digest)],
  )
  const id = rows[0]?.id
  if (id === undefined) return false
  await client.query(
    `insert into tree (object_id, project_id, entries, bytes, members) values ($1, $2, $3, $4, $5)
     on conflict (object_id) do update set entries = excluded.entries, bytes = excluded.bytes, members = excluded.members, broken = false`,
    [id, projectId, tree.entries, tree.bytes, packIds(tree.members)],
  )
  return true
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
