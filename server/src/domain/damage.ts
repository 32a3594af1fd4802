import type { ObjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'

/** Records that stored bytes are lost. The object and the trees that hold it count as missing from here on, so that the next push brings them again. */
export async function recordDamage(stores: Stores, projectId: number, rows: readonly ObjectRow[], reason: string): Promise<void> {
  if (rows.length === 0) return
  const brokenTrees = await stores.catalog.markDamaged(
    projectId,
    rows.map((row) => row.id),
  )
  for (const row of rows) stores.notice({ type: 'damaged', projectId, digest: row.digest, reason })
  await stores.catalog.audit({
    action: 'object.damaged',
    detail: {
      projectId,
      reason,
      digests: rows.slice(0, 100).map((row) => row.digest),
      objects: rows.length,
      brokenTrees: brokenTrees.length,
    },
  })
}

/** Called when an object that was damaged is there again. */
export async function mendTrees(stores: Pick<Stores, 'catalog' | 'notice'>, projectId: number): Promise<void> {
  const mended = await stores.catalog.mendTrees(projectId)
  if (mended.length > 0) stores.notice({ type: 'mended', projectId, trees: mended.length })
}
