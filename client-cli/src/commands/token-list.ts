import type { Token } from '@cairn/protocol/api'
import type { Command } from '../command.ts'
import { formatJson } from '../report/json.ts'
import { columns, SERVER_OPTION, withServer } from './administration.ts'

export const command: Command = {
  name: 'token list',
  summary: "Print the server's tokens, without their secrets.",
  options: [{ flags: '--json', summary: 'Print it for programs.' }, SERVER_OPTION],
  examples: ['cairn token list'],
  async run(context, _, options) {
    const tokens = await withServer(context, options, (server) => server.listTokens(context.signal))
    const text =
      options['json'] === true
        ? formatJson({ tokens })
        : columns([['ID', 'NAME', 'PROJECTS', 'SCOPES', 'STATE', 'USE'], ...tokens.map(rowOf)])
    context.report({ type: 'output', text })
  },
}

function rowOf({ id, name, projects, scopes, expiresAt, revokedAt, lastUsedAt }: Token): string[] {
  const state = revokedAt !== null ? 'revoked' : expiresAt === null ? 'no end' : `until ${expiresAt.slice(0, 10)}`
  const use = lastUsedAt === null ? 'never used' : `used ${lastUsedAt.slice(0, 16).replace('T', ' ')}`
  return [id, name, projects?.join(',') ?? 'all', scopes.join(','), state, use]
}
