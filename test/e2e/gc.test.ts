import { createHash } from 'node:crypto'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createWorkstation, folderDigest, type Workstation } from '../rig/project.ts'
import { startTestServer, type TestServer } from '../rig/server.ts'

const stations: Workstation[] = []
let server: TestServer | undefined
afterAll(async () => {
  await server?.stop()
  for (const station of stations) station.remove()
})

async function startProject(files: Record<string, string>): Promise<Workstation> {
  const station = createWorkstation()
  stations.push(station)
  station.git('init', '-q')
  await station.cairn('init')
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(station.dir, name), text)
  return station
}

const STAGE = `stages:
  count:
    cmd: cp in out && echo "n$(cat in)" > n.json
    deps: [in]
    outs: [out]
    metrics:
    - n.json:
        cache: false
`

test('gc keeps what the run cache gives back, outputs that Git keeps among it', async () => {
  const station = await startProject({ 'dvc.yaml': STAGE, in: '1\n' })
  await station.cairn('repro')
  station.git('add', '-A')
  station.git('commit', '-qm', 'first')
  expect((await station.cairn('gc', '-w', '-f')).stdout).toContain("No unused 'repo' cache to remove.")
  writeFileSync(path.join(station.dir, 'in'), '2\n')
  await station.cairn('repro')
  writeFileSync(path.join(station.dir, 'in'), '1\n')
  for (const made of ['out', 'n.json']) rmSync(path.join(station.dir, made))
  expect((await station.cairn('repro')).stdout).toContain("Stage 'count' is cached - skipping run")
})

/** A project whose cache and remote hold an object that nothing names any more; gives back both, to be compared. */
async function startWithLeftovers(
  remote: readonly string[][],
): Promise<{ station: Workstation; cache: () => string | undefined }> {
  const station = await startProject({ file: 'first\n' })
  for (const args of remote) await station.cairn('remote', ...args)
  for (const text of ['first\n', 'second\n']) {
    writeFileSync(path.join(station.dir, 'file'), text)
    await station.cairn('add', 'file')
    await station.cairn('push')
    station.git('add', '-A')
    station.git('commit', '-qm', text)
  }
  return { station, cache: () => folderDigest(path.join(station.dir, '.dvc/cache')) }
}

test('gc -c deletes on a folder what the scope does not name, and a dry run says its name and size', async () => {
  const store = createWorkstation()
  stations.push(store)
  const { station } = await startWithLeftovers([['add', '-d', 'store', store.dir]])
  const before = folderDigest(store.dir)
  const dry = await station.cairn('gc', '-w', '-c', '--dry')
  expect(dry.stdout).toMatch(new RegExp(`^Removing ${store.dir}/files/md5/\\S+ \\(6, file\\)$`, 'm'))
  expect(dry.stdout).toContain('Removed 1 objects from remote.\n')
  expect(folderDigest(store.dir)).toBe(before)
  await station.cairn('gc', '-w', '-c', '-f')
  expect((await station.cairn('status', '-c')).stdout).toContain('in sync')
  const left = readdirSync(store.dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  expect(left).toHaveLength(1)
})

test('gc -c deletes nothing for a Cairn server, neither there nor here', { timeout: 120_000 }, async () => {
  server = await startTestServer()
  const { station, cache } = await startWithLeftovers([
    ['add', '-d', 'origin', `${server.url}/dvc/demo`],
    ['modify', '--local', 'origin', 'auth', 'custom'],
    ['modify', '--local', 'origin', 'custom_auth_header', 'Authorization'],
    ['modify', '--local', 'origin', 'password', `Bearer ${server.adminToken}`],
  ])
  const before = cache()
  const refused = await station.tryCairn('gc', '-w', '-c', '-f')
  expect(refused).toMatchObject({ code: 255, stdout: '' })
  expect(refused.stderr).toContain("remote 'origin' is a server, which may hold the work of others: it cannot be swept from here")
  expect(cache()).toBe(before)
  const first = createHash('md5').update('first\n').digest('hex')
  expect((await server.ask('HEAD', `/dvc/demo/files/md5/${first.slice(0, 2)}/${first.slice(2)}`)).status).toBe(200)
})
