import path from 'node:path'
import { Client } from 'minio'
import pg from 'pg'
import { startFreshServer } from '../test/rig/fresh-server.ts'
import { ROOT } from '../test/rig/project.ts'
import type { RealParts } from '../test/rig/real-parts.ts'
import type { Machine } from './machine.ts'
import { type Bucket, type CairnDoor, createProject, unique } from './place.ts'
import { servicePid } from './proc.ts'

export interface CairnServer extends CairnDoor {
  pid: number
  home: string
  /** Of its subjects: `disk`, `S3`, `S3 direct`. */
  name: string
}

/** What servers are started on. */
export interface Ground {
  base: string
  machine: Machine
  /** Called in the end, the last one first. */
  closing: Array<() => Promise<unknown> | void>
  say(text: string): void
}

type Closing = Ground['closing']

export async function startServer(
  name: string,
  home: string,
  env: { [name: string]: string },
  { machine, closing }: Pick<Ground, 'machine' | 'closing'>,
): Promise<CairnServer> {
  const server = await startFreshServer({ home, env })
  machine.own(server.pid)
  closing.push(() => server.stop())
  return { name, url: server.url, adminToken: server.adminToken, pid: server.pid, home }
}

async function makeBucket(s3: Bucket, closing: Closing): Promise<Bucket> {
  const { hostname, port, protocol } = new URL(s3.endpoint)
  const { accessKey, secretKey, region } = s3
  const client = new Client({
    endPoint: hostname,
    port: Number(port),
    useSSL: protocol === 'https:',
    accessKey,
    secretKey,
    region,
  })
  const bucket = `cairn-bench-${unique()}`
  await client.makeBucket(bucket)
  closing.push(async () => {
    const names: string[] = []
    for await (const object of client.listObjectsV2(bucket, '', true) as AsyncIterable<{ name?: string }>) {
      if (object.name !== undefined) names.push(object.name)
    }
    for (let at = 0; at < names.length; at += 1000) await client.removeObjects(bucket, names.slice(at, at + 1000))
    await client.removeBucket(bucket)
  })
  return { ...s3, bucket }
}

export interface BucketServers {
  /** Of the bench's own. */
  bucket: Bucket
  /** One that everything passes through, and one whose clients go straight to the bucket, where it can. */
  servers: CairnServer[]
  /** One more of the latter, whose clients reach the bucket at another address; undefined where there is no straight way. */
  behind(publicEndpoint: string): Promise<CairnServer | undefined>
}

/** Over PostgreSQL and a bucket. */
export async function startBucketServers(parts: RealParts, ground: Ground): Promise<BucketServers> {
  const { base, machine, closing, say } = ground
  const bucket = await makeBucket(parts.s3, closing)
  for (const name of ['s3', 'postgres']) {
    const pid = servicePid(path.join(ROOT, '.cache/real-parts', `${name}.json`))
    if (pid !== undefined) machine.own(pid)
  }
  const env = {
    S3_ENDPOINT: bucket.endpoint,
    S3_BUCKET: bucket.bucket,
    S3_REGION: bucket.region,
    S3_ACCESS_KEY: bucket.accessKey,
    S3_SECRET_KEY: bucket.secretKey,
  }
  const start = async (name: string, more: { [name: string]: string }) => {
    const home = path.join(base, `${name.replace(' ', '-')}-${unique()}`)
    return startServer(name, home, { ...env, DATABASE_URL: await makeDatabase(parts.databaseUrl, closing), ...more }, ground)
  }
  const through = await start('S3', { CAIRN_DIRECT: 'off' })
  const direct = await start('S3 direct', {})
  const isDirect = await offersDirect(direct)
  if (!isDirect) say('the server offers no way straight to this bucket')
  return {
    bucket,
    servers: isDirect ? [through, direct] : [through],
    behind: async (publicEndpoint) => (isDirect ? start('S3 direct', { S3_PUBLIC_ENDPOINT: publicEndpoint }) : undefined),
  }
}

async function offersDirect(server: CairnServer): Promise<boolean> {
  const slug = await createProject(server, 'direct')
  const answer = await fetch(`${server.url}/dvc/${slug}/.well-known/cairn`, {
    headers: { authorization: `Bearer ${server.adminToken}` },
  })
  const { capabilities } = (await answer.json()) as { capabilities?: string[] }
  return capabilities?.some((name) => name.startsWith('direct-')) ?? false
}

async function makeDatabase(url: string, closing: Closing): Promise<string> {
  const name = `cairn_bench_${unique()}`
  await ask(url, `create database ${name}`)
  closing.push(() => ask(url, `drop database ${name} with (force)`))
  const own = new URL(url)
  own.pathname = `/${name}`
  return own.href
}

async function ask(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
