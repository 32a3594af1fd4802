import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { NewObject, ProjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'

/** Two contents with one md5 are no accident. */
export function conflict(digest: Digest): CairnError {
  return new CairnError('DIGEST_CONFLICT', `${digest}: the project holds other bytes under this digest`, {
    hint: 'Two different contents share this md5. Ask an administrator to look at the audit log.',
  })
}

export async function auditConflicts(
  stores: Pick<Stores, 'catalog'>,
  project: ProjectRow,
  objects: readonly NewObject[],
): Promise<void> {
  await stores.catalog.audit({
    action: 'object.conflict',
    project: project.slug,
    detail: {
      objects: objects.slice(0, 100).map(({ digest, sha256 }) => ({ digest, sha256: Buffer.from(sha256).toString('hex') })),
    },
  })
}
