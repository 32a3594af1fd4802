import type pg from 'pg'
import { CairnError } from '@cairn/protocol/error'
import type { Catalog } from '../../domain/ports/catalog.ts'
import { createAudit } from './audit.ts'
import { createBlobs } from './blobs.ts'
import { createChunkLists } from './chunk-lists.ts'
import { createDirectUploads } from './direct-uploads.ts'
import { withDatabaseWords } from './failure.ts'
import { createObjects } from './objects.ts'
import { createProjects } from './projects.ts'
import { createRuns } from './runs.ts'
import { createSessions } from './sessions.ts'
import { createTokens } from './tokens.ts'
import { createTrees } from './trees.ts'
import { createUploadRows } from './uploads.ts'

export interface CatalogOptions {
  /** For the connection that listens: it is none of the pool's. */
  poolConfig: pg.ClientConfig
}

/**
 * The catalog over a migrated database. The pool comes from `openPool`, and its opener ends it after the last call.
 */
export function createCatalog(pool: pg.Pool, options: CatalogOptions): Catalog {
  return withDatabaseWords<Catalog>({
    ...createProjects(pool),
    ...createObjects(pool),
    ...createTrees(pool),
    ...createBlobs(pool),
    ...createChunkLists(pool),
    ...createSessions(pool),
    ...createDirectUploads(pool),
    ...createUploadRows(pool),
    ...createRuns(pool),
    ...createTokens(pool, options.poolConfig),
    ...createAudit(pool),
    check: (signal) => check(pool, signal),
  })
}

async function check(pool: pg.Pool, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([pool.query('select 1'), aborted.promise])
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CairnError('STORAGE_FAILED', `the database does not answer: ${reason}`, { cause: error })
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
