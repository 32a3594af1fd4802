// A process that owns an embedded Postgres over the folder in its first argument, to be killed by a test. It writes `ready`
// once it runs and then, for every row that was committed, the row's number.
import pg from 'pg'
import { startEmbeddedPostgres } from '../../server/src/adapters/embedded-postgres.ts'

const [dir = ''] = process.argv.slice(2)
const { poolConfig } = await startEmbeddedPostgres({ dir })
const client = new pg.Client(poolConfig)
client.on('error', () => undefined)
await client.connect()
await client.query('create table if not exists counted (number int primary key)')
process.stdout.write('ready\n')
const { rows } = await client.query<{ next: number }>('select coalesce(max(number), 0) + 1 as next from counted')
for (let number = rows[0]?.next ?? 1; ; number++) {
  await client.query('insert into counted values ($1)', [number])
  process.stdout.write(`${number}\n`)
}
