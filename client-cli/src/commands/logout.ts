import type { Command } from '../command.ts'
import { readTokens, removeToken } from '../remote/credentials.ts'
import { parseServerUrl } from './administration.ts'

export const command: Command = {
  name: 'logout',
  summary: "Forget a server's token.",
  description: "The token stays valid until it expires or 'cairn token revoke' ends it.",
  arguments: [{ name: '[url]', summary: 'The server; by default every one.' }],
  examples: ['cairn logout https://cairn.example.org', 'cairn logout'],
  run(context, [given]) {
    const origins = given === undefined ? Object.keys(readTokens(context.env)) : [parseServerUrl(given).origin]
    const removed = origins.filter((origin) => removeToken(context.env, origin))
    const text =
      removed.length === 0
        ? 'There was no token to forget.'
        : removed.map((origin) => `Forgot the token for ${origin}.`).join('\n')
    context.report({ type: 'result', text })
    return Promise.resolve()
  },
}
