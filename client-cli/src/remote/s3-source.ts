import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { asciiJson, compareCodePoints } from '@cairn/protocol/tree'
import type { Context } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { ingest } from './ingest.ts'
import { isMissing, listKeys, openBucket, s3Error } from './s3-bucket.ts'
import type { UrlLook, UrlSource } from './url-source.ts'

/** An object of a bucket, or all that begins with its name and a `/`. @throws CairnError CONFIG */
export function bucketSource(target: RemoteConfig, { env }: Context): UrlSource {
  const place = openBucket(target, env)
  const { bucket, prefix } = place
  const key = prefix.replace(/\/$/, '')
  return {
    url: target.url,
    async look(signal) {
      const client = await place.client()
      signal.throwIfAborted()
      try {
        if (key !== '') {
          const { size, etag } = await client.statObject(bucket, key)
          return { folder: false, files: [{ path: '', size, etag }], size, etag }
        }
      } catch (error) {
        if (!isMissing(error)) throw s3Error(error, target.url)
      }
      const files: Array<{ path: string; size: number; etag: string | undefined }> = []
      for await (const found of listKeys(place, '', signal)) {
        // A key that ends so stands for an empty folder.
        if (!found.key.endsWith('/')) files.push({ path: found.key.slice(prefix.length), size: found.size, etag: found.etag })
      }
      return files.length === 0 ? undefined : folderOf(files)
    },
    async bring(file, cache, signal) {
      const client = await place.client()
      let body: Readable
      try {
        body = await client.getObject(bucket, file === '' ? key : prefix + file)
      } catch (error) {
        throw isMissing(error) ? new CairnError('FAILED', `'${target.url}' does not exist`) : s3Error(error, target.url)
      }
      try {
        return await ingest(cache, body as AsyncIterable<Uint8Array>, signal)
      } catch (error) {
        throw signal.aborted ? error : s3Error(error, target.url)
      } finally {
        body.destroy()
      }
    },
    close: () => Promise.resolve(),
  }
}

function folderOf(files: ReadonlyArray<{ path: string; size: number; etag: string | undefined }>): UrlLook {
  const size = files.reduce((sum, file) => sum + file.size, 0)
  return { folder: true, files, size, digest: digestOf(files) }
}

/** As dvc names a folder of which it knows etags instead of md5s. */
function digestOf(files: ReadonlyArray<{ path: string; etag: string | undefined }>): Digest {
  const rows = files
    .toSorted((a, b) => compareCodePoints(a.path, b.path))
    .map(({ path, etag = '' }) => `{"etag": ${asciiJson(etag)}, "relpath": ${asciiJson(path)}}`)
  return makeDigest(
    createHash('md5')
      .update(`[${rows.join(', ')}]`)
      .digest('hex'),
    { tree: true },
  )
}
