import type { TokenRequest } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { isScope, type Scope, SCOPES } from '@cairn/protocol/scope'
import type { Command, Options } from '../command.ts'
import { formatJson } from '../report/json.ts'
import { describeRights, SERVER_OPTION, splitList, withServer } from './administration.ts'

export const command: Command = {
  name: 'token create',
  summary: 'Make a token; its secret is printed once.',
  description: 'Needs a token with the scope admin. Who administers some projects makes tokens for those only.',
  options: [
    { flags: '--name <name>', summary: 'Whose it is.' },
    { flags: '--projects <list>', summary: 'Names with commas between them; all by default.' },
    { flags: '--scopes <list>', summary: `Of ${SCOPES.join(', ')}.`, default: 'read,write' },
    { flags: '--expires <time>', summary: '12h, 90d, 4w or 1y; never by default.' },
    { flags: '--json', summary: 'Print it for programs.' },
    SERVER_OPTION,
  ],
  examples: ['cairn token create --name ci-train --projects train --scopes read --expires 90d'],
  async run(context, _, options) {
    const request = tokenRequestOf(options)
    const created = await withServer(context, options, (server) => server.createToken(request, context.signal))
    const { token, secret } = created
    if (options['json'] === true) return context.report({ type: 'output', text: formatJson(created) })
    context.report({ type: 'output', text: secret })
    context.report({ type: 'note', text: `Shown once. It is token ${token.id} ('${token.name}'): ${describeRights(token)}.` })
  },
}

function tokenRequestOf(options: Options): TokenRequest {
  const { name, projects, scopes, expires } = options as Record<string, string | undefined>
  if (!name) throw new CairnError('USAGE', '--name is missing', { hint: 'It says whose token this is: --name ci-train' })
  return {
    name,
    projects: projects === undefined || projects === 'all' ? null : splitList(projects),
    scopes: splitList(scopes ?? '').map(parseScope),
    expiresIn: expires === undefined ? null : parseDuration(expires),
  }
}

function parseScope(text: string): Scope {
  if (isScope(text)) return text
  throw new CairnError('USAGE', `'${text}' is no scope`, { hint: `The scopes are ${SCOPES.join(', ')}.` })
}

const SECONDS: Readonly<Record<string, number>> = { h: 3600, d: 86_400, w: 7 * 86_400, y: 366 * 86_400 }

function parseDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,5})([hdwy])$/.exec(text) ?? []
  const seconds = Number(count) * (SECONDS[unit] ?? Number.NaN)
  if (seconds > 0) return seconds
  throw new CairnError('USAGE', `'${text}' is no duration`, { hint: 'Write 12h, 90d, 4w or 1y.' })
}
