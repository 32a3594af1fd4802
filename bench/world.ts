import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { ROOT } from '../test/rig/project.ts'
import { type RealParts, realParts } from '../test/rig/real-parts.ts'
import { createMachine, type Machine } from './machine.ts'
import type { BenchOptions } from './options.ts'
import type { Bucket } from './place.ts'
import type { Record } from './record.ts'
import { type BucketServers, type CairnServer, type Ground, startBucketServers, startServer } from './servers.ts'
import { type Service, type ServiceOptions, startService } from './service.ts'

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
  behind: BucketServers['behind']
  http: Service
  raw: Service
  /** Starts a program that is stopped with the world. */
  start(options: ServiceOptions): Promise<Service>
  say(text: string): void
  close(): Promise<void>
}

export async function openWorld(options: BenchOptions, record: Record): Promise<World> {
  const closing: Ground['closing'] = []
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
    const embedded = await startServer('disk', path.join(base, 'disk'), {}, { machine, closing })
    const parts = await findParts(say)
    const further = parts && (await startBucketServers(parts, { base, machine, closing, say }))
    const servers = [embedded, ...(further?.servers ?? [])]
    const behind = further?.behind ?? (() => Promise.resolve(undefined))
    return { options, base, machine, record, servers, bucket: further?.bucket, behind, http, raw, start, say, close }
  } catch (error) {
    await close()
    throw error
  }
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
