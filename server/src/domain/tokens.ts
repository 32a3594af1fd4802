import { randomUUID } from 'node:crypto'
import type { CreatedToken, Token, TokenRequest } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import type { TokenRow } from './ports/catalog.ts'
import { type Principal, reaches, type TokenCodec } from './principal.ts'
import type { Stores } from './stores.ts'

/**
 * Makes a token. The secret is in the answer and nowhere else. `by` is undefined for the server's own command line.
 * @throws CairnError FORBIDDEN when an administrator of some projects reaches for others, PROJECT_UNKNOWN
 */
export async function createToken(
  stores: Stores,
  codec: TokenCodec,
  request: TokenRequest,
  by: Principal | undefined,
): Promise<CreatedToken> {
  if (by) requireWithin(by, request.projects)
  for (const slug of request.projects ?? []) {
    if (!(await stores.catalog.findProject(slug)))
      throw new CairnError('PROJECT_UNKNOWN', `no project '${slug}'`, { hint: 'Create the project first.' })
  }
  const expiresAt = request.expiresIn === null ? null : new Date(stores.clock.now().getTime() + request.expiresIn * 1000)
  const { name, projects, scopes } = request
  const row = await stores.catalog.createToken({ id: randomUUID(), name, projects, scopes, expiresAt })
  await stores.catalog.audit({
    action: 'token.created',
    tokenId: by?.token.id,
    detail: { created: row.id, name, projects, scopes },
  })
  return { token: describeToken(row), secret: codec.sign(row) }
}

function requireWithin(by: Principal, projects: readonly string[] | null): void {
  if (by.token.projects === null) return
  const foreign = projects === null ? 'all projects' : projects.find((slug) => !reaches(by, slug))
  if (foreign !== undefined) throw new CairnError('FORBIDDEN', `token '${by.token.name}' does not administer ${foreign}`)
}

/** An administrator of some projects sees the tokens that reach nothing beyond them. */
export async function listTokens(stores: Stores, by: Principal | undefined): Promise<Token[]> {
  const rows = await stores.catalog.listTokens()
  return rows.filter((row) => by === undefined || isWithin(by, row)).map(describeToken)
}

function isWithin(by: Principal, row: TokenRow): boolean {
  return by.token.projects === null || (row.projects?.every((slug) => reaches(by, slug)) ?? false)
}

/** Holds on every replica within 5 s. @throws CairnError NOT_FOUND */
export async function revokeToken(stores: Stores, id: string, by: Principal | undefined): Promise<void> {
  const row = await stores.catalog.findToken(id)
  const visible = row !== undefined && (by === undefined || isWithin(by, row))
  if (!visible || !(await stores.catalog.revokeToken(id))) throw new CairnError('NOT_FOUND', `no token ${id}`)
  await stores.catalog.audit({ action: 'token.revoked', tokenId: by?.token.id, detail: { revoked: id } })
}

export function describeToken(row: TokenRow): Token {
  return {
    id: row.id,
    name: row.name,
    projects: row.projects === null ? null : [...row.projects],
    scopes: [...row.scopes],
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  }
}
