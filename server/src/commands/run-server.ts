import { CairnError, isCode } from '@cairn/protocol/error'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { openDatabase, openParts, type Parts, serve, work } from '../wire.ts'
import { firstStart, welcome, welcomeBack } from './first-start.ts'
import { portHolder } from './port-holder.ts'

/** `cairn-server serve`: serves until the signal aborts. `print` is for what a person must see. */
export async function runServe(config: Config, log: Log, signal: AbortSignal, print: (text: string) => void): Promise<void> {
  const parts = await open(config, log, signal)
  try {
    const serving = await serve(parts).catch((error: unknown) => {
      throw isCode(error, 'EADDRINUSE') ? portTaken(config, error) : error
    })
    const first = await firstStart(parts)
    print(first ? welcome(serving.url, first.secret) : welcomeBack(serving.url))
    log.info({ url: serving.url, ...parts.kinds }, 'serving')
    const jobs = config.jobs ? work(parts, signal) : Promise.resolve()
    await aborted(signal)
    log.info('stopping: no new connections, finishing what is in hand')
    await Promise.all([serving.close(), jobs])
  } finally {
    await parts.close()
  }
  log.info('stopped')
}

/** `cairn-server work`: runs jobs until the signal aborts. */
export async function runWork(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const parts = await open(config, log, signal)
  try {
    log.info(parts.kinds, 'working')
    await work(parts, signal)
  } finally {
    await parts.close()
  }
  log.info('stopped')
}

async function open(config: Config, log: Log, signal: AbortSignal): Promise<Parts> {
  const database = await openDatabase(config, log, { signal })
  try {
    return await openParts(config, log, database)
  } catch (error) {
    await database.stop()
    throw error
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted ? Promise.resolve() : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

function portTaken(config: Config, cause: unknown): CairnError {
  const holder = portHolder(config.port)
  return new CairnError('CONFIG', `port ${config.port} on ${config.host} is taken${holder ? ` by ${holder}` : ''}`, {
    hint: `Stop that program, or take another port: PORT=${config.port + 1} npm start`,
    cause,
    exit: 1,
  })
}
