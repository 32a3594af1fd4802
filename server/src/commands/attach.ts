import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { NAME } from '../adapters/embedded-postgres/cluster.ts'
import { chooseRunMode } from '../adapters/embedded-postgres/run-mode.ts'
import { makeSocketDir } from '../adapters/embedded-postgres/socket-dir.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { type Database, openDatabase } from '../wire.ts'

/** The database for a short command: that of the server that runs here, else our own for as long as it takes. */
export async function attachDatabase(config: Config, log: Log, signal: AbortSignal): Promise<Database> {
  try {
    return await openDatabase(config, log, { signal, patienceSeconds: 0 })
  } catch (error) {
    if (!isCode(error, 'LOCKED')) throw error
    const dir = path.join(config.home, 'postgres')
    const folder = path.join(dir, 'data')
    const { mode } = await chooseRunMode(dir, folder)
    const host = makeSocketDir(folder, mode)
    return {
      poolConfig: { host, port: 5432, user: NAME, database: NAME },
      kind: 'the embedded PostgreSQL of the server that runs here',
      stop: () => Promise.resolve(),
    }
  }
}
