import { CairnError, isCode } from '@cairn/protocol/error'
import type { Token } from '@cairn/protocol/api'
import type { Context, Options, OptionSpec } from '../command.ts'
import { type Administration, createAdministration } from '../remote/administration.ts'
import { cairnCredentials, type Credentials, readTokens } from '../remote/credentials.ts'
import { createHttpClient } from '../remote/http-client.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { openRepo } from '../repo/open.ts'

export const SERVER_OPTION: OptionSpec = {
  flags: '--server <url>',
  summary: "The server; by default CAIRN_URL, the default remote's server, or the only one logged in to.",
}

/** Talks to the server that the options or the surroundings name, as whoever is logged in there. */
export async function withServer<T>(
  context: Context,
  options: Options,
  work: (server: Administration) => Promise<T>,
): Promise<T> {
  const { url, remote } = findServer(context, options['server'] as string | undefined)
  return withAdministration(url, cairnCredentials(url, remote, context.env), context, work)
}

export async function withAdministration<T>(
  url: URL,
  credentials: Credentials,
  context: Context,
  work: (server: Administration) => Promise<T>,
): Promise<T> {
  const http = createHttpClient({ base: url.origin, credentials, sockets: 1, env: context.env })
  try {
    return await work(createAdministration(http))
  } finally {
    http.close()
  }
}

/** @throws CairnError USAGE */
export function parseServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new CairnError('USAGE', `'${text}' is no http(s) url`, { hint: 'For example https://cairn.example.org' })
}

function findServer(context: Context, given: string | undefined): { url: URL; remote: RemoteConfig | undefined } {
  const named = given ?? context.env['CAIRN_URL']
  if (named) return { url: parseServerUrl(named), remote: undefined }
  const remote = defaultRemote(context)
  if (remote && /^https?:/i.test(remote.url)) return { url: new URL(remote.url), remote }
  const [origin, ...others] = Object.keys(readTokens(context.env))
  if (origin !== undefined && others.length === 0) return { url: parseServerUrl(origin), remote: undefined }
  throw new CairnError('USAGE', 'which server?', { hint: 'Name it with --server URL, or set CAIRN_URL.' })
}

function defaultRemote(context: Context): RemoteConfig | undefined {
  try {
    return openRepo(context.cwd, context.env).config.defaultRemote()
  } catch (error) {
    if (isCode(error, 'NOT_A_REPOSITORY', 'CONFIG')) return undefined
    throw error
  }
}

/** `read, write on all projects, until 2027-01-31`. */
export function describeRights(token: Token): string {
  const projects = token.projects === null ? 'all projects' : token.projects.join(', ')
  return `${token.scopes.join(', ')} on ${projects}, ${token.expiresAt === null ? 'without an end' : `until ${token.expiresAt.slice(0, 10)}`}`
}

/** Lines of columns, two blanks apart, the last one unpadded. */
export function columns(rows: ReadonlyArray<readonly string[]>): string {
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

export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
