import { parseArgs } from 'node:util'
import { CairnError, isCode } from '@cairn/protocol/error'
import { attachDatabase } from './commands/attach.ts'
import { doctor } from './commands/doctor.ts'
import { runServe, runWork } from './commands/run-server.ts'
import { tokenCreate, tokenList, tokenRevoke } from './commands/tokens.ts'
import { type Config, readConfig } from './config.ts'
import { createLog, type Log } from './log.ts'
import { VERSION } from './version.ts'
import { migrateDatabase, openParts, type Parts } from './wire.ts'

const HELP = `Usage: cairn-server COMMAND

  serve                     serve HTTP and run jobs; the first start prints an administrator token
  work                      run jobs only
  migrate                   bring the database to this version and end
  doctor                    try every part for real
  token create --name NAME [--projects a,b|all] [--scopes read,write] [--expires 90d] [--json]
  token list [--json]
  token revoke ID

Examples:
  cairn-server token create --name ada --scopes admin
  cairn-server token create --name ci-train --projects train --scopes read,write --expires 90d
  PORT=9000 CAIRN_HOME=/srv/cairn cairn-server serve

Settings come from the environment: CAIRN_HOME, HOST, PORT, CAIRN_URL, DATABASE_URL, S3_ENDPOINT and others of S3_*,
REDIS_URL, CAIRN_JOBS=off, CAIRN_LOG_LEVEL. docs/guide-admin.md explains them.
Exit codes: 0 done, 1 failed, 251 wrong settings, 254 wrong arguments.`

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  json: { type: 'boolean' },
  name: { type: 'string' },
  projects: { type: 'string' },
  scopes: { type: 'string' },
  expires: { type: 'string' },
} as const

type Flags = ReturnType<typeof readArguments>['values']

function readArguments(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true })
  } catch (error) {
    throw new CairnError('USAGE', error instanceof Error ? error.message : String(error), { hint: 'See `cairn-server --help`.' })
  }
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)

async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = readArguments(argv)
  const [command, verb, operand] = positionals
  if (values.version) return say(VERSION)
  if (values.help || command === undefined) return say(HELP)
  const config = readConfig()
  const pretty = process.stdout.isTTY
  if (command === 'serve') {
    await runServe(config, createLog({ level: config.logLevel, pretty }), signal, print)
    return 0
  }
  if (command === 'work') {
    await runWork(config, createLog({ level: config.logLevel, pretty }), signal)
    return 0
  }
  return runShort(config, { command, verb, operand }, values, signal)
}

/** The commands that do one thing and end. Their standard output is theirs alone. */
async function runShort(
  config: Config,
  words: { command: string; verb: string | undefined; operand: string | undefined },
  flags: Flags,
  signal: AbortSignal,
): Promise<number> {
  const log = createLog({ level: 'silent', pretty: false })
  const { command, verb, operand } = words
  if (command === 'migrate') return runMigrate(config, log, signal)
  if (command === 'doctor') {
    return withParts(config, log, signal, async (parts) => {
      const { text, well } = await doctor(parts)
      print(text)
      return well ? 0 : 1
    })
  }
  if (command === 'token' && verb === 'create')
    return withParts(config, log, signal, async (parts) => say(await tokenCreate(parts, flags)))
  if (command === 'token' && verb === 'list')
    return withParts(config, log, signal, async (parts) => say(await tokenList(parts, flags)))
  if (command === 'token' && verb === 'revoke')
    return withParts(config, log, signal, async (parts) => say(await tokenRevoke(parts, operand)))
  throw new CairnError('USAGE', `unknown command '${[command, verb].filter(Boolean).join(' ')}'`, {
    hint: 'See `cairn-server --help`.',
  })
}

async function runMigrate(config: Config, log: Log, signal: AbortSignal): Promise<number> {
  const database = await attachDatabase(config, log, signal)
  try {
    const applied = await migrateDatabase(database, log)
    return say(applied.length > 0 ? applied.join('\n') : 'The database is up to date.')
  } finally {
    await database.stop()
  }
}

async function withParts(config: Config, log: Log, signal: AbortSignal, use: (parts: Parts) => Promise<number>): Promise<number> {
  const database = await attachDatabase(config, log, signal)
  const parts = await openParts(config, log, database).catch(async (error: unknown) => {
    await database.stop()
    throw error
  })
  try {
    return await use(parts)
  } finally {
    await parts.close()
  }
}

function say(text: string): number {
  print(text)
  return 0
}

function explain(error: unknown): number {
  if (!(error instanceof CairnError)) {
    process.stderr.write(`cairn-server: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    return 1
  }
  process.stderr.write(`cairn-server: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ''}`)
  return error.exit
}

/** The first signal stops gracefully, the second at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1)
      controller.abort(new CairnError('CANCELLED', `stopped by ${name}`))
    })
  }
  return controller.signal
}

const signal = stopSignal()
try {
  process.exit(await run(process.argv.slice(2), signal))
} catch (error) {
  process.exit(signal.aborted && isCode(error, 'CANCELLED') ? 0 : explain(error))
}
