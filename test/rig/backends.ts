import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { s3BlobStore } from '../../server/src/adapters/blob-store/s3.ts'
import { realParts } from './real-parts.ts'

/** The environment that switches a server to the real Postgres, S3 and Redis; a database and a Redis database of its own. */
export async function freshBackends(): Promise<Record<string, string>> {
  const parts = realParts()
  const name = `cairn_${randomBytes(6).toString('hex')}`
  const client = new pg.Client({ connectionString: parts.databaseUrl })
  await client.connect()
  await client.query(`create database ${name}`)
  await client.end()
  const database = new URL(parts.databaseUrl)
  database.pathname = `/${name}`
  return {
    DATABASE_URL: database.href,
    S3_ENDPOINT: parts.s3.endpoint,
    S3_BUCKET: parts.s3.bucket,
    S3_REGION: parts.s3.region,
    S3_ACCESS_KEY: parts.s3.accessKey,
    S3_SECRET_KEY: parts.s3.secretKey,
    REDIS_URL: parts.redisUrl,
  }
}

/** Deletes from the bucket what a server over these backends has put there: a suite with large files leaves none behind. */
export async function emptyBucket(env: Readonly<Record<string, string>>): Promise<void> {
  const client = new pg.Client({ connectionString: env['DATABASE_URL'] })
  await client.connect()
  try {
    const { rows } = await client.query<{ key: string }>(
      'select key from blob union select key from trash union select key from direct_upload',
    )
    await s3BlobStore(realParts().s3).delete(rows.map((row) => row.key))
  } finally {
    await client.end()
  }
}
