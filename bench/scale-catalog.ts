import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { createProject } from './place.ts'
import type { CairnServer } from './servers.ts'
import type { World } from './world.ts'

/** A project with many objects that are rows alone: nothing of them is stored, so they may be asked for and named, not read. */
export interface LargeCatalog {
  server: CairnServer
  slug: string
}

const STEP = 500_000
const PACK_MEMBERS = 10_000

/** The md5 of the nth object of a large catalog; SQL below makes the same. */
export const largeCatalogMd5 = (nth: number): string => hash('md5', `bench ${nth}`)

/** Fills the embedded server's database with as many objects as the options say. */
export async function openCatalog({ servers, options, say }: World): Promise<LargeCatalog> {
  const [server] = servers
  if (!server) throw new Error('there is no server')
  const slug = await createProject(server, 'scale')
  const client = new pg.Client(embeddedDatabase(server.home))
  await client.connect()
  try {
    await client.query('set synchronous_commit = off')
    const { rows } = await client.query<{ id: number }>('select id from project where slug = $1', [slug])
    const project = rows[0]?.id
    const indexes = await dropIndexes(client)
    for (let from = 1; from <= options.rows; from += STEP) {
      await fill(client, project, from, Math.min(from + STEP - 1, options.rows))
      say(`scale: ${Math.min(from + STEP - 1, options.rows)} of ${options.rows} objects`)
    }
    for (const definition of indexes) await client.query(definition)
    await client.query('vacuum analyze object')
  } finally {
    await client.end()
  }
  return { server, slug }
}

/** The embedded database writes down where it listens. */
function embeddedDatabase(home: string): pg.ClientConfig {
  const lines = readFileSync(path.join(home, 'postgres/data/postmaster.pid'), 'utf8').split('\n')
  return { port: Number(lines[3]), host: lines[4] ?? '', user: 'cairn', database: 'cairn' }
}

/** Ten million rows in random order are quicker to sort once than to put in one by one. Returns what makes the indexes again. */
async function dropIndexes(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
     from pg_index i where i.indrelid = 'object'::regclass and not i.indisprimary`,
  )
  for (const { name } of rows) await client.query(`drop index ${name}`)
  return rows.map(({ definition }) => definition)
}

async function fill(client: pg.Client, project: number | undefined, from: number, to: number): Promise<void> {
  await client.query(
    `with pack as (
       insert into blob (size, project_id, kind, key)
       select ${PACK_MEMBERS} * 2000, $1, 1, 'bench/' || n from generate_series($2::int, $3::int, ${PACK_MEMBERS}) as n
       returning id, substr(key, 7)::int as first)
     insert into object (blob_id, blob_offset, size, md5, project_id, state, kind, sha256)
     select pack.id, (n - pack.first) * 2000, 2000, md5('bench ' || n)::uuid, $1, 'live', 0, sha256(('bench ' || n)::bytea)
     from pack, generate_series(pack.first, least(pack.first + ${PACK_MEMBERS - 1}, $3::int)) as n`,
    [project, from, to],
  )
}
