// Installs and starts what the slow suites need: PostgreSQL, Redis, an S3 server, stock dvc, Vega, zsh and fish. What is not
// the system's lives below .cache/; a second call finds it there and takes a moment.
//
//   node scripts/real-parts.mjs         start, and write .cache/real-parts/env.json
//   node scripts/real-parts.mjs stop    stop; the installed parts stay
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { installDvc } from './parts/dvc.mjs'
import { startPostgres, stopPostgres } from './parts/postgres.mjs'
import { startRedis, stopRedis } from './parts/redis.mjs'
import { startS3, stopS3 } from './parts/s3.mjs'
import { installShells } from './parts/shells.mjs'
import { installVega } from './parts/vega.mjs'
import { findService, PARTS, say, withLock } from './parts/service.mjs'

const ENV_FILE = path.join(PARTS, 'env.json')

export function realPartsRun() {
  return ['postgres', 'redis', 's3'].every((name) => findService(name) !== undefined)
}

export async function startRealParts() {
  return await withLock(async () => {
    installShells()
    const env = { ...installDvc(), ...installVega(), ...(await startPostgres()), ...(await startRedis()), ...(await startS3()) }
    mkdirSync(PARTS, { recursive: true })
    writeFileSync(ENV_FILE, `${JSON.stringify(env, null, 2)}\n`, { mode: 0o600 })
    return env
  })
}

export async function stopRealParts() {
  await withLock(async () => {
    rmSync(ENV_FILE, { force: true })
    await Promise.all([stopPostgres(), stopRedis(), stopS3()])
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))))
  if (process.argv[2] === 'stop') {
    await stopRealParts()
    say('stopped')
  } else {
    const start = performance.now()
    await startRealParts()
    say(`ready in ${((performance.now() - start) / 1000).toFixed(1)} s; see ${path.relative(process.cwd(), ENV_FILE)}`)
  }
}
