import { Readable } from 'node:stream'
import { CairnError } from '@cairn/protocol/error'
import type { BlobStore } from '../../domain/ports/blob-store.ts'
import { assertKey } from './key.ts'
import { s3Drafts } from './s3-drafts.ts'
import { createPartBuffers } from './part-buffers.ts'
import { isReason, openS3Client, type S3Options } from './s3-client.ts'
import { directAccess } from './s3-presign.ts'
import { upload } from './s3-upload.ts'

export type { S3Options } from './s3-client.ts'

// What one request may name.
const DELETE_BATCH = 1000
const ANSWER_MS = 60_000
const PART_BYTES = 160 * 1024 * 1024

/** Blobs as objects of one bucket. Nothing here relies on conditional requests, which some servers do not know. */
export function s3BlobStore(options: S3Options): BlobStore {
  const s3 = openS3Client(options)
  const { bucket } = s3
  const buffers = createPartBuffers(options.partBytes ?? PART_BYTES)

  return {
    direct: directAccess({ ...options, endpoint: options.publicEndpoint ?? options.endpoint }),

    async put(key, bytes, putOptions) {
      assertKey(key)
      return await upload(s3, key, bytes, { ...putOptions, buffers })
    },

    async get(key, { range, signal }) {
      assertKey(key)
      if (range && range.end <= range.start) return Readable.from([])
      try {
        const length = range && range.end - range.start
        const stream = await s3.call(key, signal, (client) => client.getPartialObject(bucket, key, range?.start ?? 0, length))
        // A reader who left early no longer listens when its request ends as aborted, and an error nobody hears ends the server.
        return stream.on('error', () => undefined)
      } catch (error) {
        if (isMissing(error)) throw new CairnError('NOT_FOUND', `${key}: no such blob`, { cause: error })
        if (isReason(error, 'InvalidRange')) return Readable.from([])
        throw error
      }
    },

    async stat(key) {
      assertKey(key)
      try {
        const found = await s3.call(key, AbortSignal.timeout(ANSWER_MS), (client) => client.statObject(bucket, key))
        return { key, size: found.size, modified: found.lastModified }
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },

    async delete(keys) {
      keys.forEach(assertKey)
      for (let start = 0; start < keys.length; start += DELETE_BATCH) {
        const batch = keys.slice(start, start + DELETE_BATCH)
        const refused = await s3.call('delete', AbortSignal.timeout(ANSWER_MS), (client) => client.removeObjects(bucket, batch))
        const first = refused.find((answer) => answer?.Error?.Code !== 'NoSuchKey')
        if (first) throw new CairnError('STORAGE_FAILED', `delete: the bucket refused: ${JSON.stringify(first)}`)
      }
    },

    async *list(prefix, signal) {
      let token = ''
      do {
        const page = await s3.call(`list ${prefix}`, signal, (client) =>
          client.listObjectsV2Query(bucket, prefix, token, '', 1000, ''),
        )
        for (const { name, size, lastModified } of page.objects) {
          if (name !== undefined && lastModified !== undefined) yield { key: name, size, modified: new Date(lastModified) }
        }
        token = page.isTruncated ? page.nextContinuationToken : ''
      } while (token !== '')
    },

    ...s3Drafts(s3),

    async removeUnfinished(before, signal, standing) {
      let removed = 0
      let marker = ''
      do {
        const page = await s3.call('list uploads', signal, (client) =>
          client.listIncompleteUploadsQuery(bucket, '', marker, '', ''),
        )
        for (const { key, uploadId, initiated } of page.uploads) {
          if (initiated >= before || standing?.has(uploadId)) continue
          await s3.call(key, signal, (client) => client.abortMultipartUpload(bucket, key, uploadId))
          removed++
        }
        marker = page.isTruncated ? page.nextKeyMarker : ''
      } while (marker !== '')
      return removed
    },

    async check(signal) {
      const exists = await s3.call(bucket, signal, (client) => client.bucketExists(bucket))
      if (exists) return
      const hint = 'Create it, or set S3_BUCKET to one that exists.'
      throw new CairnError('STORAGE_FAILED', `${options.endpoint}: there is no bucket '${bucket}'`, { hint })
    },
  }
}

function isMissing(error: unknown): boolean {
  return isReason(error, 'NoSuchKey') || isReason(error, 'NotFound')
}
