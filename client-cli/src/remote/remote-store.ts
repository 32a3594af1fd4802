import { isLegacy } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { listObjects, type Part, removeObjects, type StoredObject } from '../cache/sweep.ts'
import type { Context } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { schemeOf } from '../repo/config-schema.ts'
import { openBucket, type S3Bucket } from './s3-bucket.ts'
import { listBucket } from './s3-remote.ts'

/** A remote whose objects may be listed and deleted one by one. Close it. */
export interface RemoteStore {
  list(part: Part, signal: AbortSignal): AsyncIterable<StoredObject>
  remove(objects: readonly StoredObject[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** @throws CairnError FAILED for a remote that deletes by itself, or cannot be listed */
export async function openStore(config: RemoteConfig, { env }: Context): Promise<RemoteStore> {
  const scheme = schemeOf(config.url)
  if (scheme === undefined) return folderStore(config.url)
  if (scheme === 's3') return bucketStore(openBucket(config, env))
  if (scheme === 'http' || scheme === 'https')
    throw new CairnError(
      'FAILED',
      `remote '${config.name}' is a server, which may hold the work of others: it cannot be swept from here; nothing was deleted`,
      {
        hint: 'A Cairn server owns deletion: it drops what no project holds by itself. A plain HTTP server has to be cleaned where its files are.',
      },
    )
  throw new CairnError('CONFIG', `remote '${config.name}': ${scheme}:// is not supported`)
}

/** What one request may name. */
const DELETE_BATCH = 1000

function bucketStore(place: S3Bucket): RemoteStore {
  return {
    async *list(part, signal) {
      const below = part === 'today' ? 'files/md5/' : ''
      for await (const { digest, key, size } of listBucket(place, below, signal))
        if (isLegacy(digest) === (part === 'legacy')) yield { digest, size, file: key }
    },
    async remove(objects, signal) {
      const client = await place.client()
      for (let at = 0; at < objects.length; at += DELETE_BATCH) {
        signal.throwIfAborted()
        const keys = objects.slice(at, at + DELETE_BATCH).map((object) => object.file)
        const refused = await client.removeObjects(place.bucket, keys)
        const first = refused.find((answer) => answer?.Error?.Code !== undefined && answer.Error.Code !== 'NoSuchKey')
        if (first)
          throw new CairnError('REMOTE_FAILED', `the bucket '${place.bucket}' refused to delete: ${JSON.stringify(first)}`, {
            exit: 1,
          })
      }
    },
    close: () => Promise.resolve(),
  }
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
