import fs from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { run, succeeds } from './command.ts'

/**
 * Postgres refuses to run as root. `namespace`: root of the machine enters a fresh user namespace, where it is nobody to
 * Postgres and still itself to the file system: no other user, no change of owner, and it works below a private home.
 * `nobody`: where namespaces are forbidden, as in a container's default sandbox. `user`: an ordinary user, as he is.
 */
export type RunMode = 'user' | 'namespace' | 'nobody'

export interface RunAs {
  mode: RunMode
  /** What to write before a command so that it runs so. */
  prefix: readonly string[]
}

const NOBODY = 65534

/**
 * How to run Postgres over `data`. The owner of an existing cluster pins the mode; when that mode has become impossible,
 * or was forced otherwise, the files change hands.
 */
export async function chooseRunMode(dir: string, data: string, forced?: RunMode): Promise<RunAs> {
  const dies = (await succeeds(['setpriv', '--pdeathsig', 'INT', 'true'])) ? ['--pdeathsig', 'INT'] : []
  if (process.getuid?.() !== 0) return { mode: 'user', prefix: dies.length > 0 ? ['setpriv', ...dies, '--'] : [] }
  const owner = fs.existsSync(data) ? fs.statSync(data).uid : 0
  const namespaces = await succeeds(['unshare', '--user', 'true'])
  const mode = forced ?? (namespaces && owner !== NOBODY ? 'namespace' : 'nobody')
  if (mode === 'nobody') {
    await makeReachable(dir)
    if (owner !== NOBODY) await giveTo(data, NOBODY)
    return { mode, prefix: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...dies, '--'] }
  }
  if (owner !== 0) await giveTo(data, 0)
  return { mode, prefix: ['unshare', '--user', ...(dies.length > 0 ? ['setpriv', ...dies, '--'] : [])] }
}

/** The user that owns the cluster's files in this mode; undefined: whoever runs the server. */
export const ownerOf = (mode: RunMode): number | undefined => (mode === 'nobody' ? NOBODY : undefined)

async function makeReachable(dir: string): Promise<void> {
  fs.chmodSync(dir, 0o711)
  const walk = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--', 'sh', '-c', 'cd "$1"', 'sh', dir]
  if (await succeeds(walk)) return
  throw new CairnError('CONFIG', `${dir}: PostgreSQL does not run as root here, and other users cannot reach this folder`, {
    hint: 'put CAIRN_HOME where every user can enter, run the server as an ordinary user, or set DATABASE_URL',
  })
}

async function giveTo(data: string, uid: number): Promise<void> {
  if (!fs.existsSync(data)) return
  const { code, output } = await run(['chown', '-R', `${uid}:${uid}`, path.resolve(data)])
  if (code !== 0) throw new CairnError('CONFIG', `${data}: could not change its owner: ${output.trim()}`)
}
