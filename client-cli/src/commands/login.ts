import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { askHidden, readStandardInput } from '../io/hidden-prompt.ts'
import { credentialsFile, storeToken } from '../remote/credentials.ts'
import { describeRights, parseServerUrl, withAdministration } from './administration.ts'

const LONGEST_TOKEN = 16 * 1024

export const command: Command = {
  name: 'login',
  summary: 'Keep a token for a server.',
  description:
    "Asks for the token unless it comes from --token-stdin or CAIRN_TOKEN, lets the server check it, and keeps it in the user's own file of credentials (mode 0600), never in a repository.",
  arguments: [{ name: '<url>', summary: 'The server, or a remote on it.' }],
  options: [{ flags: '--token-stdin', summary: 'Read the token from standard input.' }],
  examples: ['cairn login https://cairn.example.org', 'cairn login --token-stdin https://cairn.example.org < token.txt'],
  async run(context, [given = ''], options) {
    const url = parseServerUrl(given)
    const secret = await askToken(context, url, options)
    const credentials = { headers: { authorization: `Bearer ${secret}` }, source: 'this login' }
    const { token } = await withAdministration(url, credentials, context, (server) => server.whoami(context.signal))
    storeToken(context.env, url.origin, secret)
    const lines = [
      `Logged in to ${url.origin} with the token '${token.name}': ${describeRights(token)}.`,
      `It is kept in ${credentialsFile(context.env)}.`,
    ]
    context.report({ type: 'result', text: lines.join('\n') })
  },
}

async function askToken(context: Context, url: URL, options: Options): Promise<string> {
  const fromStdin = options['tokenStdin'] === true
  const text = fromStdin
    ? await readStandardInput(LONGEST_TOKEN)
    : (context.env['CAIRN_TOKEN'] ?? (await askHidden(`Token for ${url.origin}: `)))
  const secret = text.trim().replace(/^Bearer\s+/i, '')
  if (secret === '') throw new CairnError('USAGE', 'the token is empty')
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new CairnError('USAGE', 'a token is one word of printable ASCII')
  return secret
}
