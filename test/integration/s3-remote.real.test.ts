import { Client } from 'minio'
import { objectPath } from '@cairn/protocol/digest'
import { openBucket } from '../../client-cli/src/remote/s3-bucket.ts'
import { createS3Remote } from '../../client-cli/src/remote/s3-remote.ts'
import { type RemotePlace, remoteSuite } from '../conformance/remote.ts'
import { realParts } from '../rig/real-parts.ts'

remoteSuite('an S3 bucket', async (): Promise<RemotePlace> => {
  const { s3 } = realParts()
  const root = `client-remote-${process.pid}-${Date.now()}`
  const { hostname, port, protocol } = new URL(s3.endpoint)
  const client = new Client({
    endPoint: hostname,
    port: Number(port),
    useSSL: protocol === 'https:',
    region: s3.region,
    accessKey: s3.accessKey,
    secretKey: s3.secretKey,
  })
  return {
    open(part, cache) {
      const url = `s3://${s3.bucket}/${root}/${part}`
      const options = { endpointurl: s3.endpoint, access_key_id: s3.accessKey, secret_access_key: s3.secretKey }
      const bucket = openBucket({ name: 'bucket', url, options }, {})
      return Promise.resolve(createS3Remote({ name: 'bucket', url, bucket, cache, jobs: 16 }))
    },
    async damage(part, digest) {
      await client.putObject(s3.bucket, `${root}/${part}/${objectPath(digest)}`, Buffer.from('damaged'))
    },
    async stop() {
      const keys: string[] = []
      for await (const { name } of client.listObjectsV2(s3.bucket, `${root}/`, true) as AsyncIterable<{ name?: string }>)
        if (name !== undefined) keys.push(name)
      for (let at = 0; at < keys.length; at += 1000) await client.removeObjects(s3.bucket, keys.slice(at, at + 1000))
    },
  }
})
