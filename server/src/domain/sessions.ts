import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { ProjectRow, SessionRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'
import { commitRoots } from './trees.ts'

/** A push may pause for a day: a laptop that sleeps over night finds its session alive. */
const LIFETIME_SECONDS = 24 * 3600

export interface SessionRequest {
  tokenId: string
  /** An earlier answer's session, to go on with. */
  session: string | undefined
  intent: 'push' | 'pull'
}

/** Opens a session, or extends the one named. @throws CairnError SESSION_UNKNOWN */
export async function ensureSession(stores: Stores, project: ProjectRow, request: SessionRequest): Promise<SessionRow> {
  if (request.session === undefined)
    return stores.catalog.openSession(project.id, request.tokenId, request.intent, LIFETIME_SECONDS)
  return renewSession(stores, project, request.session)
}

async function renewSession(stores: Stores, project: ProjectRow, id: string): Promise<SessionRow> {
  const session = await stores.catalog.renewSession(project.id, id, LIFETIME_SECONDS)
  if (!session)
    throw new CairnError('SESSION_UNKNOWN', `session ${id} is unknown or has expired`, {
      hint: 'Start the push again; what was sent is kept.',
    })
  return session
}

/** Which of the packed digests the project lacks, packed, in their order. The others stay present as long as the session lives. */
export async function findMissing(
  stores: Stores,
  project: ProjectRow,
  packed: Uint8Array,
  request: SessionRequest,
): Promise<{ session: SessionRow; missing: Uint8Array }> {
  const [session, { missing, present }] = await Promise.all([
    ensureSession(stores, project, request),
    stores.catalog.findMissing(project.id, packed),
  ])
  if (present.length > 0) await stores.catalog.addLease(session.id, present)
  return { session, missing }
}

/**
 * The session stays open until it expires: a commit whose answer was lost can be asked for again.
 * @throws CairnError SESSION_UNKNOWN, TREE_INCOMPLETE
 */
export async function commitSession(
  stores: Stores,
  project: ProjectRow,
  id: string,
  roots: readonly Digest[],
  signal: AbortSignal,
): Promise<Digest[]> {
  await renewSession(stores, project, id)
  return commitRoots(stores, project, roots, signal)
}
