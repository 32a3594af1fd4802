import { hash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Digest, makeDigest, objectPath } from '@cairn/protocol/digest'
import { serializeTree } from '@cairn/protocol/tree'
import { startCountingProxy } from '../test/rig/counting-proxy.ts'
import { CAIRN } from '../test/rig/project.ts'
import { cairnCommands, type CairnDoor } from './place.ts'
import { figures } from './play.ts'
import { forgetPeak, peakMib } from './proc.ts'
import { type LargeCatalog, largeCatalogMd5 } from './scale-catalog.ts'
import { type Bench, openBench, type Subject } from './subject.ts'
import type { World } from './world.ts'

const MIB = 1024 * 1024
const FOLDER_FILES = 1000

/** A tree of a million files that the server has, pushed; then one of them changes. The files themselves are nowhere here. */
export async function changeLargeTree(world: World, { server, slug }: LargeCatalog): Promise<void> {
  const { machine, options, record, say } = world
  const proxy = await startCountingProxy(server.url)
  try {
    const bench = await openBench(machine, subjectAt({ url: proxy.url, adminToken: server.adminToken }, slug), world.base, 'tree')
    const note = (name: string, value: number) => record.note({ set: 'scale', name, subject: 'cairn → disk', value, unit: 'MiB' })
    let peaks = { server: 0, client: 0 }
    for (const changed of [false, true]) {
      const bytes = largeTree(Math.min(options.entries, options.rows), changed ? putFile(bench, 'changed\n') : undefined)
      track(bench, bytes)
      bench.commit()
      proxy.reset()
      forgetPeak(server.pid)
      await machine.settle()
      const timing = await bench.run('push')
      const operation = changed ? 'tree push, changed' : 'tree push, first'
      record.keep({ set: 'scale', operation, subject: 'cairn → disk', round: 0, ...figures(timing) })
      note(`${operation}: sent`, proxy.sent / MIB)
      say(`scale: ${operation}: ${timing.seconds.toFixed(3)} s, ${proxy.sent} bytes of ${bytes.length}`)
      peaks = { server: Math.max(peaks.server, peakMib(server.pid)), client: Math.max(peaks.client, timing.mib) }
    }
    note('tree push: peak of the server', peaks.server)
    note('tree push: peak of the client', peaks.client)
  } finally {
    await proxy.close()
  }
}

/** The project stands already: its objects do. */
function subjectAt(door: CairnDoor, slug: string): Subject {
  const open = () => Promise.resolve(cairnCommands(door, slug))
  return { name: 'cairn → disk', tool: 'cairn', file: CAIRN, place: { name: 'disk', open } }
}

/** In the order of its paths. `instead` stands in the middle. */
function largeTree(count: number, instead: Digest | undefined): Uint8Array {
  const entries = Array.from({ length: count }, (_, index) => ({
    path: `${padded(Math.floor(index / FOLDER_FILES))}/${padded(index)}.bin`,
    digest: instead !== undefined && index === count >> 1 ? instead : (largeCatalogMd5(index + 1) as Digest),
  }))
  return serializeTree(entries)
}

const padded = (number: number): string => String(number).padStart(7, '0')

function putFile(bench: Bench, text: string): Digest {
  const digest = makeDigest(hash('md5', text), {})
  putObject(bench, digest, Buffer.from(text))
  return digest
}

function putObject({ dir }: Bench, digest: Digest, bytes: Uint8Array): void {
  const file = path.join(dir, '.dvc/cache', objectPath(digest))
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, bytes, { mode: 0o444 })
}

/** As `add` leaves it: the tree in the cache, and the stage file that names it. */
function track(bench: Bench, bytes: Uint8Array): void {
  const digest = makeDigest(hash('md5', bytes), { tree: true })
  putObject(bench, digest, bytes)
  const lines = ['outs:', `- md5: ${digest}`, `  size: ${bytes.length}`, '  hash: md5', '  path: data', '']
  writeFileSync(path.join(bench.dir, 'data.dvc'), lines.join('\n'))
}
