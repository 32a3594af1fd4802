import type pg from 'pg'
import type { RunName } from '@cairn/protocol/run-name'
import type { Catalog } from '../../domain/ports/catalog.ts'

type Runs = Pick<Catalog, 'listRuns' | 'findRuns' | 'addRuns'>

const NAME = `encode(key, 'hex') || '/' || encode(value, 'hex') as name`

export function createRuns(pool: pg.Pool): Runs {
  return {
    listRuns: async (projectId, after, limit) => {
      const [key, value] = after === undefined ? ['', ''] : halves(after)
      const { rows } = await pool.query<{ name: RunName }>(
        `select ${NAME} from run
         where project_id = $1 and (key, value) > (decode($2, 'hex'), decode($3, 'hex'))
         order by key, value limit $4`,
        [projectId, key, value, limit],
      )
      return rows.map((row) => row.name)
    },
    findRuns: async (projectId, names, bytes) => {
      const { rows } = await pool.query<{ name: RunName; entry: Buffer }>(
        `select ${NAME}, entry from (
           select key, value, entry, sum(length(entry)) over (order by key, value) - length(entry) as before
           from run join (select decode(key, 'hex') as key, decode(value, 'hex') as value
                          from unnest($2::text[], $3::text[]) as asked (key, value)) as asked using (key, value)
           where project_id = $1) as found
         where before < $4`,
        [projectId, ...columnsOf(names), bytes],
      )
      return rows
    },
    addRuns: async (projectId, tokenId, runs) => {
      // In one order for all, so that no two transactions wait for each other.
      const ordered = runs.toSorted((a, b) => (a.name < b.name ? -1 : 1))
      const { rowCount } = await pool.query(
        `insert into run (project_id, token_id, key, value, entry)
         select $1, $2, decode(key, 'hex'), decode(value, 'hex'), entry
         from unnest($3::text[], $4::text[], $5::bytea[]) as sent (key, value, entry)
         on conflict do nothing`,
        [projectId, tokenId, ...columnsOf(ordered.map((run) => run.name)), ordered.map((run) => Buffer.from(run.entry))],
      )
      return rowCount ?? 0
    },
  }
}

const halves = (name: RunName): [key: string, value: string] => [name.slice(0, 64), name.slice(65)]

const columnsOf = (names: readonly RunName[]): [keys: string[], values: string[]] => [
  names.map((name) => halves(name)[0]),
  names.map((name) => halves(name)[1]),
]
