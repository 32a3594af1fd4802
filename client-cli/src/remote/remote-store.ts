import { CairnError } from '@cairn/protocol/error'
import { listObjects, type Part, removeObjects, type StoredObject } from '../cache/sweep.ts'
import type { Context } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'

/** A remote whose objects may be listed and deleted one by one. Close it. */
export interface RemoteStore {
  list(part: Part, signal: AbortSignal): AsyncIterable<StoredObject>
  remove(objects: readonly StoredObject[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** @throws CairnError FAILED for a remote that deletes by itself, or cannot be listed */
export function openStore(config: RemoteConfig, _context: Context): Promise<RemoteStore> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(config.url)?.[1]?.toLowerCase()
  if (scheme === undefined) return Promise.resolve(folderStore(config.url))
  if (scheme === 'http' || scheme === 'https')
    throw new CairnError('FAILED', `remote '${config.name}' cannot be swept from here; nothing was deleted`, {
      hint: 'A Cairn server owns deletion: it drops what no project holds by itself. A plain HTTP server has to be cleaned where its files are.',
    })
  throw new CairnError('CONFIG', `remote '${config.name}': ${scheme}:// is not supported`)
}

function folderStore(dir: string): RemoteStore {
  return {
    async *list(part) {
      yield* listObjects(dir, part)
    },
    remove: (objects, signal) => Promise.resolve(removeObjects(objects, signal)),
    close: () => Promise.resolve(),
  }
}
