import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshBackends } from '../rig/backends.ts'
import { startFreshServer } from '../rig/fresh-server.ts'
import { writeSmallFiles } from '../rig/images.ts'
import { createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

const FILES = 400

describe('a stock client that sends many small files', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-stock-'))
  let station: Workstation
  let server: Awaited<ReturnType<typeof startFreshServer>>
  let database: pg.Client

  beforeAll(async () => {
    const env = await freshBackends()
    server = await startFreshServer({ home, env })
    database = new pg.Client({ connectionString: env['DATABASE_URL'] })
    await database.connect()
    station = createWorkstation()
  })
  afterAll(async () => {
    await database.end()
    await server.stop()
    station.remove()
    rmSync(home, { recursive: true, force: true })
  })

  const dvc = async (...args: string[]) => {
    const done = await run(realParts().dvc, args, { cwd: station.dir, env: station.env })
    expect(done, `dvc ${args.join(' ')}\n${done.stdout}\n${done.stderr}`).toHaveProperty('code', 0)
  }

  test('has them stored in a few blobs of the bucket, and gets every byte back', async () => {
    station.git('init', '-q')
    await dvc('init', '-q')
    const folder = path.join(station.dir, 'data')
    writeSmallFiles(folder, { count: FILES, seed: 11 })
    const before = folderDigest(folder)
    await dvc('add', '-q', 'data')
    await dvc('remote', 'add', '-d', 'origin', `${server.url}/dvc/default`)
    await dvc('remote', 'modify', 'origin', 'auth', 'custom')
    await dvc('remote', 'modify', 'origin', 'custom_auth_header', 'Authorization')
    await dvc('remote', 'modify', '--local', 'origin', 'password', `Bearer ${server.adminToken}`)
    await dvc('push', '-q', '-j', '16')
    const { rows } = await database.query<{ objects: number; blobs: number }>(
      'select (select count(*) from object)::int as objects, (select count(*) from blob)::int as blobs',
    )
    expect(rows[0]?.objects).toBe(FILES + 1)
    expect(rows[0]?.blobs).toBeLessThan(FILES / 2)

    renameSync(path.join(station.dir, '.dvc/cache'), path.join(home, 'cache'))
    renameSync(folder, path.join(home, 'data'))
    await dvc('pull', '-q')
    expect(folderDigest(folder)).toBe(before)
  })
})
