import fs from 'node:fs'
import path from 'node:path'
import type pg from 'pg'
import { CairnError } from '@cairn/protocol/error'
import { MIGRATION_LOCK } from './pool.ts'

/** A migration that an older server cannot live with says so in its first line. */
const BREAKING = '--! breaking'

/**
 * Brings the database to the newest migration in `folder`, each in a transaction of its own that writes its row first: a
 * crash leaves it undone. Servers that start at once take turns. Returns the names that were applied now.
 * @throws CairnError CONFIG when the database is too new for this server
 */
export async function migrate(pool: pg.Pool, folder: string): Promise<string[]> {
  const names = fs
    .readdirSync(folder)
    .filter((name) => /^\d{4}-[a-z0-9-]+\.sql$/.test(name))
    .sort()
  const client = await pool.connect()
  let broken = true
  try {
    await client.query('select pg_advisory_lock($1, 0)', [MIGRATION_LOCK])
    const applied = await applyNew(client, folder, names)
    await client.query('select pg_advisory_unlock($1, 0)', [MIGRATION_LOCK])
    broken = false
    return applied
  } finally {
    // After a failure the connection is thrown away, and with it the lock and an open transaction.
    client.release(broken)
  }
}

async function applyNew(client: pg.PoolClient, folder: string, names: readonly string[]): Promise<string[]> {
  await client.query(
    'create table if not exists migration (name text primary key, breaking boolean not null, applied_at timestamptz not null default now())',
  )
  const { rows } = await client.query<{ name: string; breaking: boolean }>('select name, breaking from migration')
  const known = new Set(rows.map((row) => row.name))
  const tooNew = rows.find((row) => row.breaking && !names.includes(row.name))
  if (tooNew) {
    throw new CairnError('CONFIG', `the database was migrated by a newer server (${tooNew.name})`, {
      hint: 'run that version, or restore a backup',
    })
  }
  const wanted = names.filter((name) => !known.has(name))
  for (const name of wanted) await apply(client, name, fs.readFileSync(path.join(folder, name), 'utf8'))
  return wanted
}

async function apply(client: pg.PoolClient, name: string, sql: string): Promise<void> {
  await client.query('begin')
  await client.query('insert into migration (name, breaking) values ($1, $2)', [name, sql.startsWith(BREAKING)])
  await client.query(sql)
  await client.query('commit')
}

/** The nearest folder `migrations` at or above `from`: beside a bundle, or at the top of the source tree. */
export function findMigrations(from: string): string {
  for (let dir = path.resolve(from); ; dir = path.dirname(dir)) {
    const folder = path.join(dir, 'migrations')
    if (fs.existsSync(path.join(folder, '0001-objects.sql'))) return folder
    if (dir === path.dirname(dir)) throw new CairnError('CONFIG', `${from}: no folder 'migrations' here or above`)
  }
}
