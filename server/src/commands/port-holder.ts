import fs from 'node:fs'
import { isCode } from '@cairn/protocol/error'

/** Who listens on a TCP port, as "pid 42 (node server.mjs)"; undefined where the system does not tell us. Linux only. */
export function portHolder(port: number): string | undefined {
  const inodes = new Set([...listeningInodes('/proc/net/tcp', port), ...listeningInodes('/proc/net/tcp6', port)])
  if (inodes.size === 0) return undefined
  for (const pid of readFolder('/proc').filter((name) => /^\d+$/.test(name))) {
    const holds = readFolder(`/proc/${pid}/fd`).some((fd) => inodes.has(readLink(`/proc/${pid}/fd/${fd}`)))
    if (holds) return `pid ${pid} (${readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 120)})`
  }
  return undefined
}

const LISTENING = '0A'

function listeningInodes(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const inodes: string[] = []
  for (const line of readText(table).split('\n').slice(1)) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    if (local?.endsWith(`:${wanted}`) && state === LISTENING) inodes.push(`socket:[${inode}]`)
  }
  return inodes
}

const readText = (file: string): string => orEmpty(() => fs.readFileSync(file, 'utf8'), '')
const readFolder = (dir: string): string[] => orEmpty(() => fs.readdirSync(dir), [])
const readLink = (file: string): string => orEmpty(() => fs.readlinkSync(file), '')

/** Other people's programs are closed to us, and programs end while we look. */
function orEmpty<T>(read: () => T, empty: T): T {
  try {
    return read()
  } catch (error) {
    if (isCode(error, 'ENOENT', 'EACCES', 'EPERM', 'ESRCH', 'EINVAL')) return empty
    throw error
  }
}
