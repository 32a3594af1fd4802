import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Client } from 'minio'
import pg from 'pg'
import { startFreshServer } from '../test/rig/fresh-server.ts'
import { CAIRN, ROOT } from '../test/rig/project.ts'
import { type RealParts, realParts } from '../test/rig/real-parts.ts'
import { createMachine, type Machine } from './machine.ts'
import { type BenchOptions, isExecutable } from './options.ts'
import { type Bucket, bucketPlace, type CairnDoor, cairnPlace, createProject, httpPlace, unique } from './place.ts'
import { servicePid } from './proc.ts'
import type { Record } from './record.ts'
import { type Service, type ServiceOptions, startService } from './service.ts'
import type { Subject } from './subject.ts'

export interface CairnServer extends CairnDoor {
  pid: number
  home: string
  /** Of its subjects: `disk`, `S3`, `S3 direct`. */
  name: string
}

/** What the bench stands on. Whoever opened it closes it. */
export interface World {
  options: BenchOptions
  /** Everything that is written lies below it. */
  base: string
  machine: Machine
  record: Record
  /** The Cairn servers that can run here, the embedded one first. */
  servers: CairnServer[]
  /** A bucket of the bench's own, when the real parts run. */
  bucket: Bucket | undefined
  http: Service
  raw: Service
  /** Starts a program that is stopped with the world. */
  start(options: ServiceOptions): Promise<Service>
  say(text: string): void
  close(): Promise<void>
}

export async function openWorld(options: BenchOptions, record: Record): Promise<World> {
  const closing: Array<() => Promise<unknown> | void> = []
  const close = async () => {
    for (const end of closing.toReversed()) await end()
  }
  const say = (text: string) => console.error(text)
  try {
    const base = mkdtempSync(path.join(os.tmpdir(), 'cairn-bench-'))
    closing.push(() => rmSync(base, { recursive: true, force: true }))
    const machine = createMachine()
    const start = async (service: ServiceOptions) => {
      const started = await startService(service)
      machine.own(started.pid)
      closing.push(() => started.stop())
      return started
    }
    const rawDir = path.join(base, 'raw')
    mkdirSync(rawDir)
    const [http, raw] = [
      await start({ kind: 'plain-http', dir: path.join(base, 'http') }),
      await start({ kind: 'raw', dir: rawDir }),
    ]
    const servers = [await startServer('disk', path.join(base, 'disk'), {}, machine, closing)]
    const parts = await findParts(say)
    const bucket = parts && (await makeBucket(parts.s3, closing))
    if (parts && bucket) servers.push(...(await startBucketServers(parts, bucket, { base, machine, closing, say })))
    return { options, base, machine, record, servers, bucket, http, raw, start, say, close }
  } catch (error) {
    await close()
    throw error
  }
}

type Closing = Array<() => Promise<unknown> | void>

async function startServer(
  name: string,
  home: string,
  env: { [name: string]: string },
  machine: Machine,
  closing: Closing,
): Promise<CairnServer> {
  const server = await startFreshServer({ home, env })
  machine.own(server.pid)
  closing.push(() => server.stop())
  return { name, url: server.url, adminToken: server.adminToken, pid: server.pid, home }
}

/** The services of the slow suites, when they run. */
async function findParts(say: World['say']): Promise<RealParts | undefined> {
  if (existsSync(path.join(ROOT, '.cache/real-parts/env.json'))) {
    const parts = realParts()
    const answers = await fetch(parts.s3.endpoint).then(
      () => true,
      () => false,
    )
    if (answers) return parts
  }
  say('there is no PostgreSQL and no S3: start them with node scripts/real-parts.mjs to compare with those too')
  return undefined
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

interface Ground {
  base: string
  machine: Machine
  closing: Closing
  say: World['say']
}

/** Over PostgreSQL and the bucket: one that everything passes through, and one whose clients go straight to the bucket, where it can. */
async function startBucketServers(
  parts: RealParts,
  bucket: Bucket,
  { base, machine, closing, say }: Ground,
): Promise<CairnServer[]> {
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
    const database = await makeDatabase(parts.databaseUrl, closing)
    return startServer(
      name,
      path.join(base, name.replace(' ', '-')),
      { ...env, DATABASE_URL: database, ...more },
      machine,
      closing,
    )
  }
  const through = await start('S3', { CAIRN_DIRECT: 'off' })
  const direct = await start('S3 direct', {})
  if (await offersDirect(direct)) return [through, direct]
  say('the server offers no way straight to this bucket')
  return [through]
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

/** Without a server: cairn, stock dvc, restic into a folder. */
export function localSubjects({ options, say }: World): Subject[] {
  const subjects: Subject[] = [{ name: 'cairn', tool: 'cairn', file: CAIRN }]
  if (isExecutable(options.dvc)) subjects.push({ name: 'dvc', tool: 'dvc', file: options.dvc })
  else say(`no stock dvc at ${options.dvc}: cairn is timed without it (node scripts/real-parts.mjs installs one)`)
  if (options.restic !== undefined) subjects.push({ name: 'restic → folder', tool: 'restic', file: options.restic })
  return chosen(subjects, options)
}

/** How a subject reaches a server: as it is, or through something that stands before it. */
export type Door = (url: string) => Promise<string>

/** Every tool with every place that it can push to. */
export async function transferSubjects(world: World, door: Door = (url) => Promise.resolve(url)): Promise<Subject[]> {
  const { options, servers, http, bucket } = world
  const subjects: Subject[] = []
  for (const server of servers) {
    const place = cairnPlace(server.name, { ...server, url: await door(server.url) })
    subjects.push({ name: `cairn → ${server.name}`, tool: 'cairn', file: CAIRN, place })
  }
  const near = bucket && { ...bucket, endpoint: await door(bucket.endpoint) }
  if (isExecutable(options.dvc)) {
    const places = [httpPlace(await door(http.url)), ...(near ? [bucketPlace(near)] : [])]
    const [embedded] = servers
    if (embedded) places.push(cairnPlace('Cairn', { ...embedded, url: await door(embedded.url) }))
    for (const place of places) subjects.push({ name: `dvc → ${place.name}`, tool: 'dvc', file: options.dvc, place })
  }
  if (options.restic !== undefined && near)
    subjects.push({ name: 'restic → S3', tool: 'restic', file: options.restic, bucket: near })
  return chosen(subjects, options)
}

function chosen(subjects: Subject[], { subjects: wanted }: BenchOptions): Subject[] {
  return subjects.filter((subject) => wanted.test(subject.name))
}
