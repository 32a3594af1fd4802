import type { TokenRequest } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { isScope, type Scope, SCOPES } from '@cairn/protocol/scope'
import { createToken, listTokens, revokeToken } from '../domain/tokens.ts'
import type { Parts } from '../wire.ts'

export interface TokenFlags {
  name?: string | undefined
  projects?: string | undefined
  scopes?: string | undefined
  expires?: string | undefined
  json?: boolean | undefined
}

/** `cairn-server token create`: returns the text to print. The secret is in it and nowhere else. */
export async function tokenCreate(parts: Parts, flags: TokenFlags): Promise<string> {
  const created = await createToken(parts.stores, parts.codec, readTokenRequest(flags), undefined)
  if (flags.json) return JSON.stringify(created)
  return `${created.secret}\n\nShown once. It is token ${created.token.id} ('${created.token.name}').`
}

export function readTokenRequest(flags: TokenFlags): TokenRequest {
  const { name } = flags
  if (!name) throw usage('--name is missing', 'It says whose token this is: --name ci-train')
  const scopes = list(flags.scopes ?? 'read,write').map(readScope)
  const projects = flags.projects === undefined || flags.projects === 'all' ? null : list(flags.projects)
  return { name, scopes, projects, expiresIn: flags.expires === undefined ? null : readDuration(flags.expires) }
}

function readScope(text: string): Scope {
  if (!isScope(text)) throw usage(`'${text}' is no scope`, `The scopes are ${SCOPES.join(', ')}.`)
  return text
}

const SECONDS: Readonly<Record<string, number>> = { h: 3600, d: 86_400, w: 7 * 86_400, y: 366 * 86_400 }

/** `12h`, `90d`, `4w`, `1y` in seconds. */
export function readDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,5})([hdwy])$/.exec(text) ?? []
  const seconds = Number(count) * (SECONDS[unit] ?? Number.NaN)
  if (!(seconds > 0)) throw usage(`'${text}' is no duration`, 'Write 12h, 90d, 4w or 1y.')
  return seconds
}

const list = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)

const usage = (message: string, hint: string): CairnError => new CairnError('USAGE', message, { hint })

/** `cairn-server token list` */
export async function tokenList(parts: Parts, flags: TokenFlags): Promise<string> {
  const tokens = await listTokens(parts.stores, undefined)
  if (flags.json) return JSON.stringify({ tokens })
  const rows = tokens.map(({ id, name, projects, scopes, expiresAt, revokedAt, lastUsedAt }) => [
    id,
    name,
    projects?.join(',') ?? 'all',
    scopes.join(','),
    revokedAt ? 'revoked' : expiresAt ? `until ${expiresAt.slice(0, 10)}` : 'no end',
    lastUsedAt ? `used ${lastUsedAt.slice(0, 16).replace('T', ' ')}` : 'never used',
  ])
  return columns([['ID', 'NAME', 'PROJECTS', 'SCOPES', 'STATE', 'USE'], ...rows])
}

function columns(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `cairn-server token revoke ID` */
export async function tokenRevoke(parts: Parts, id: string | undefined): Promise<string> {
  if (!id) throw usage('which token?', 'cairn-server token list shows the ids.')
  await revokeToken(parts.stores, id, undefined)
  return `Token ${id} is revoked; within 5 s no server takes it any more.`
}
