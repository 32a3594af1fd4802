import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFreshServer } from '../rig/fresh-server.ts'
import { startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { createWorkstation, folderDigest, type Finished, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'
import { type Client, must } from '../rig/two-clients.ts'

/** The url of a remote, and its secret options. */
type Place = { url: string; options?: Record<string, string> }

const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-run-cache-'))
const stations: Workstation[] = []
let server: Awaited<ReturnType<typeof startFreshServer>>

beforeAll(async () => {
  server = await startFreshServer({ home: path.join(home, 'server') })
}, 120_000)
afterAll(async () => {
  await server.stop()
  for (const station of stations) station.remove()
  rmSync(home, { recursive: true, force: true })
})

const newStation = (): Workstation => {
  const station = createWorkstation()
  stations.push(station)
  return station
}

const PIPELINE = `stages:
  sort:
    cmd: sort words > sorted
    deps:
    - words
    outs:
    - sorted
  count:
    cmd: wc -l < sorted > lines
    deps:
    - sorted
    params:
    - unit
    outs:
    - lines
`

async function setOptions(station: Workstation, { options = {} }: Place): Promise<void> {
  for (const [key, value] of Object.entries(options))
    await must('cairn', station, 'remote', 'modify', '--local', 'store', key, value)
}

const runsOf = (station: Workstation): string | undefined => folderDigest(path.join(station.dir, '.dvc/cache/runs'))

async function startProject(place: Place): Promise<Workstation> {
  const station = newStation()
  station.git('init', '-q', '-b', 'main')
  await must('cairn', station, 'init')
  await must('cairn', station, 'remote', 'add', '-d', 'store', place.url)
  await setOptions(station, place)
  writeFileSync(path.join(station.dir, 'dvc.yaml'), PIPELINE)
  writeFileSync(path.join(station.dir, 'params.yaml'), 'unit: 1\n')
  return station
}

/** The pipeline is run on two inputs, and both are pushed; the answer is what the second push said. */
async function runAndPush(client: Client, station: Workstation): Promise<Finished> {
  let pushed: Finished | undefined
  for (const words of ['b\na\n', 'd\nc\nb\n']) {
    writeFileSync(path.join(station.dir, 'words'), words)
    await must(client, station, 'repro')
    pushed = await must(client, station, 'push', '--run-cache')
  }
  station.git('add', '-A')
  station.git('commit', '-qm', 'second')
  return pushed as Finished
}

async function cloneOf(station: Workstation, place: Place): Promise<Workstation> {
  const other = newStation()
  other.git('clone', '-q', station.dir, path.join(other.home, 'clone'))
  const clone = other.at(path.join(other.home, 'clone'))
  await setOptions(clone, place)
  return clone
}

let projects = 0
const PLACES: Record<string, () => Promise<Place>> = {
  'a folder': () => Promise.resolve({ url: path.join(home, `store-${projects++}`) }),
  'a bucket': () => {
    const { s3 } = realParts()
    return Promise.resolve({
      url: `s3://${s3.bucket}/runs-${process.pid}-${Date.now()}-${projects++}`,
      options: { endpointurl: s3.endpoint, access_key_id: s3.accessKey, secret_access_key: s3.secretKey },
    })
  },
  'a Cairn server': async () => {
    const slug = `runs-${projects++}`
    const json = { slug }
    expect((await server.ask('POST', '/api/v1/projects', { json })).status).toBe(201)
    return {
      url: `${server.url}/dvc/${slug}`,
      options: { auth: 'custom', custom_auth_header: 'Authorization', password: `Bearer ${server.adminToken}` },
    }
  },
}

describe.each([
  ['a folder', 'cairn', 'dvc'],
  ['a folder', 'dvc', 'cairn'],
  ['a bucket', 'cairn', 'dvc'],
  ['a bucket', 'dvc', 'cairn'],
  ['a Cairn server', 'cairn', 'cairn'],
] as const)('the run cache in %s: %s pushes, %s pulls', (where, pusher, puller) => {
  test('it comes byte for byte, and what was run once is not run again', { timeout: 240_000 }, async () => {
    const place = await (PLACES[where] as () => Promise<Place>)()
    const station = await startProject(place)
    await runAndPush(pusher, station)
    const clone = await cloneOf(station, place)
    await must(puller, clone, 'fetch', '--run-cache')
    expect(runsOf(clone)).toBe(runsOf(station))

    // On an input that only the run cache remembers, with outs that are in the remote only.
    const fresh = await cloneOf(station, place)
    writeFileSync(path.join(fresh.dir, 'words'), 'b\na\n')
    const redone = await must(puller, fresh, 'repro', '--pull')
    expect(redone.stdout).toContain("Stage 'sort' is cached - skipping run, checking out outputs")
    expect(redone.stdout).toContain("Stage 'count' is cached - skipping run, checking out outputs")
    expect(redone.stdout).not.toContain('Running stage')

    const pulled = await cloneOf(station, place)
    await must(puller, pulled, 'pull', '--run-cache')
    expect(runsOf(pulled)).toBe(runsOf(station))
    expect(folderDigest(path.join(pulled.dir, 'lines'))).toBe(folderDigest(path.join(station.dir, 'lines')))
  })
})

describe('what is said', () => {
  test('both count the entries among the files, and cairn sends none twice', { timeout: 240_000 }, async () => {
    const said: Record<string, string> = {}
    for (const client of ['cairn', 'dvc'] as const) {
      const station = await startProject(await (PLACES['a folder'] as () => Promise<Place>)())
      writeFileSync(path.join(station.dir, 'words'), 'b\na\n')
      await must(client, station, 'repro')
      said[client] = (await must(client, station, 'push', '--run-cache')).stdout
      if (client === 'cairn')
        expect((await must(client, station, 'push', '--run-cache')).stdout).toBe('Everything is up to date.\n')
    }
    expect(said['cairn']).toBe(said['dvc'])
    expect(said['cairn']).toBe('4 files pushed\n')
  })

  test('a plain HTTP server has no run cache: cairn says so, and everything else goes', { timeout: 240_000 }, async () => {
    const dir = path.join(home, 'plain')
    const plain = await startPlainHttpRemote({ dir })
    try {
      const station = await startProject({ url: plain.url })
      const pushed = await runAndPush('cairn', station)
      expect(pushed.stderr).toContain('the run cache stays where it is')
      expect(pushed.stdout).toContain('pushed')
      const clone = await cloneOf(station, { url: plain.url })
      expect((await must('cairn', clone, 'repro', '--pull')).stderr).toContain('the run cache stays where it is')
      expect((await must('cairn', clone, 'pull', '--run-cache')).stderr).toContain('the run cache stays where it is')
    } finally {
      await plain.stop()
    }
  })
})
