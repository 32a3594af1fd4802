import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type pg from 'pg'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { type Digest, packDigests, unpackDigests } from '@cairn/protocol/digest'
import { createCatalog } from '../../server/src/adapters/postgres/catalog.ts'
import { migrate } from '../../server/src/adapters/postgres/migrate.ts'
import { openPool } from '../../server/src/adapters/postgres/pool.ts'
import type { Catalog, NewObject } from '../../server/src/domain/ports/catalog.ts'
import { testCatalog, type OpenCatalog } from '../conformance/catalog.ts'
import { freshKey, objectOf, objectsOf } from '../rig/objects.ts'
import { MIGRATIONS, startTestPostgres, type TestPostgres } from '../rig/postgres.ts'

let postgres: TestPostgres
let pool: pg.Pool

beforeAll(async () => {
  postgres = await startTestPostgres()
  pool = openPool(postgres.poolConfig)
})
afterAll(async () => {
  await pool.end()
  await postgres.stop()
})

testCatalog('catalog on embedded Postgres', async (): Promise<OpenCatalog> => {
  const second = openPool(postgres.poolConfig)
  return {
    catalog: createCatalog(pool, { poolConfig: postgres.poolConfig }),
    replica: createCatalog(second, { poolConfig: postgres.poolConfig }),
    close: () => second.end(),
  }
})

test('the audit refuses to be changed, deleted or emptied', async () => {
  const catalog = createCatalog(pool, { poolConfig: postgres.poolConfig })
  await catalog.audit({ action: 'kept' })
  for (const sql of ["update audit_event set action = 'x'", 'delete from audit_event', 'truncate audit_event']) {
    await expect(pool.query(sql)).rejects.toThrow('append-only')
  }
  expect((await catalog.listAudit({ limit: 1 }))[0]?.action).toBe('kept')
})

test('invariant 1: a connection that breaks in the middle of a link leaves no row, and the next link goes well', async () => {
  const fragile = openPool({ ...postgres.poolConfig, max: 1, application_name: 'cairn-fragile' })
  const catalog = createCatalog(fragile, { poolConfig: postgres.poolConfig })
  const project = (await catalog.createProject('fragile'))?.id ?? 0
  const objects = objectsOf('fragile', 40_000)
  const blob = { key: freshKey(), size: 1, kind: 'pack' as const }
  const failed = expect(catalog.linkBlob(project, blob, objects)).rejects.toThrow()
  const cut = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cairn-fragile' and query like 'insert into object%'`
  await expect.poll(async () => (await pool.query(cut)).rowCount, { interval: 1 }).toBe(1)
  await failed
  expect((await catalog.usage(project)).objects).toBe(0)
  expect((await catalog.linkBlob(project, blob, objects)).every((outcome) => outcome === 'stored')).toBe(true)
  await fragile.end()
})

test('a watch hears again after its connection was cut, also of what was revoked meanwhile', async () => {
  const catalog = createCatalog(pool, { poolConfig: postgres.poolConfig })
  for (const id of ['cut-1', 'cut-2'])
    await catalog.createToken({ id, name: id, projects: null, scopes: ['read'], expiresAt: null })
  const heard = new Set<string>()
  const stop = new AbortController()
  const watching = catalog.watchRevocations((id) => heard.add(id), stop.signal)
  await catalog.revokeToken('cut-1')
  await expect.poll(() => heard.has('cut-1')).toBe(true)
  await pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cairn-listen' and datname = current_database()",
  )
  await catalog.revokeToken('cut-2')
  await expect.poll(() => heard.has('cut-2'), { timeout: 10_000 }).toBe(true)
  stop.abort()
  await watching
})

describe('migrations', () => {
  test('two servers that start at once apply each migration once', async () => {
    const fresh = await emptyDatabase()
    const [one, two] = [openPool(fresh.poolConfig), openPool(fresh.poolConfig)]
    const applied = await Promise.all([migrate(one, MIGRATIONS), migrate(two, MIGRATIONS)])
    expect(applied.map((names) => names.length).sort()).toEqual([0, fs.readdirSync(MIGRATIONS).length])
    await Promise.all([one.end(), two.end()])
    await fresh.stop()
  })

  test('a migration that fails leaves the database at the one before it, and the next start goes on from there', async () => {
    const fresh = await emptyDatabase()
    const one = openPool(fresh.poolConfig)
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-migrations-'))
    fs.writeFileSync(path.join(folder, '0001-a.sql'), 'create table a (id int);')
    fs.writeFileSync(path.join(folder, '0002-b.sql'), 'create table b (id int); select 1 / 0;')
    await expect(migrate(one, folder)).rejects.toThrow('division by zero')
    expect((await one.query("select to_regclass('a') is not null as a, to_regclass('b') is not null as b")).rows).toEqual([
      { a: true, b: false },
    ])
    fs.writeFileSync(path.join(folder, '0002-b.sql'), '--! breaking\ncreate table b (id int);')
    expect(await migrate(one, folder)).toEqual(['0002-b.sql'])
    fs.rmSync(path.join(folder, '0002-b.sql'))
    await expect(migrate(one, folder)).rejects.toMatchObject({ code: 'CONFIG' })
    fs.rmSync(folder, { recursive: true })
    await one.end()
    await fresh.stop()
  })
})

/** A database on the same cluster without any table of ours. */
async function emptyDatabase(): Promise<TestPostgres> {
  const name = `cairn_empty_${Math.random().toString(36).slice(2)}`
  await pool.query(`create database ${name}`)
  return {
    poolConfig: { ...postgres.poolConfig, database: name },
    stop: async () => {
      await pool.query(`drop database ${name} with (force)`)
    },
  }
}

const FILES = Array.from({ length: 5 }, (_, index) => objectOf(`file ${index}`))
const TREES = Array.from({ length: 3 }, (_, index) => objectOf(`tree ${index}`, { tree: true }))
/** Which files each tree lists. */
const MEMBERS = [[0, 1], [1, 2, 3], [4]] as const

type Step = { do: 'store' | 'damage'; files: number[] } | { do: 'send' | 'link'; tree: number } | { do: 'mend' }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom('store' as const, 'damage' as const),
    files: fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ do: fc.constantFrom('send' as const, 'link' as const), tree: fc.nat(2) }),
  fc.record({ do: fc.constant('mend' as const) }),
)

test('after any sequence of stores, losses, links and repairs, what is said to be present is what a plain model has', async () => {
  const catalog = createCatalog(pool, { poolConfig: postgres.poolConfig })
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const project = await catalog.createProject(`model-${runs++}`)
      const model = new Model()
      for (const one of steps) await perform(catalog, project?.id ?? 0, model, one)
      const { missing } = await catalog.findMissing(
        project?.id ?? 0,
        packDigests([...FILES, ...TREES].map((object) => object.digest)),
      )
      expect(unpackDigests(missing)).toEqual(model.missing())
    }),
    { numRuns: 60 },
  )
})

/** Files are unknown, live or damaged; trees are unknown, sent, whole or broken. */
class Model {
  files: Array<'live' | 'damaged' | undefined> = FILES.map(() => undefined)
  trees: Array<'sent' | 'whole' | 'broken' | undefined> = TREES.map(() => undefined)

  closed = (tree: number): boolean => (MEMBERS[tree] ?? []).every((file) => this.files[file] === 'live')

  missing(): Digest[] {
    const files = FILES.filter((_, index) => this.files[index] !== 'live')
    return [...files, ...TREES.filter((_, index) => this.trees[index] !== 'whole')].map((object) => object.digest)
  }
}

async function perform(catalog: Catalog, project: number, model: Model, one: Step): Promise<void> {
  const store = (objects: readonly NewObject[], state: 'live' | 'pending'): Promise<unknown> =>
    catalog.linkBlob(project, { key: freshKey(), size: 9, kind: 'pack' }, objects, { state })
  const idsOf = async (files: readonly number[]): Promise<number[]> => {
    const rows = await catalog.findObjects(
      project,
      files.map((file) => FILES[file]?.digest).filter((digest) => digest !== undefined),
    )
    return rows.map((row) => row.id).sort((a, b) => a - b)
  }
  if (one.do === 'store') {
    await store(
      one.files.map((file) => FILES[file]).filter((object) => object !== undefined),
      'live',
    )
    for (const file of one.files) model.files[file] = 'live'
  } else if (one.do === 'damage') {
    await catalog.markDamaged(project, await idsOf(one.files))
    for (const file of one.files) if (model.files[file] !== undefined) model.files[file] = 'damaged'
    model.trees = model.trees.map((state, tree) => (state === 'whole' && !model.closed(tree) ? 'broken' : state))
  } else if (one.do === 'send') {
    const tree = TREES[one.tree]
    if (tree) await store([tree], 'pending')
    model.trees[one.tree] ??= 'sent'
  } else if (one.do === 'link') {
    const members = await idsOf(MEMBERS[one.tree] ?? [])
    const known = members.length === MEMBERS[one.tree]?.length
    const digest = TREES[one.tree]?.digest
    const linked =
      known && digest !== undefined && (await catalog.linkTree(project, digest, { entries: members.length, bytes: 0, members }))
    expect(linked).toBe(model.closed(one.tree) && model.trees[one.tree] !== undefined)
    if (linked) model.trees[one.tree] = 'whole'
  } else {
    await catalog.mendTrees(project)
    model.trees = model.trees.map((state, tree) => (state === 'broken' && model.closed(tree) ? 'whole' : state))
  }
}
