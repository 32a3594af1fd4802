import type { Command } from '../command.ts'
import { SERVER_OPTION, withServer } from './administration.ts'

export const command: Command = {
  name: 'token revoke',
  summary: 'End a token at once.',
  description: 'No server takes it any more after 5 seconds at most.',
  arguments: [{ name: '<id>', summary: "As 'cairn token list' prints it." }],
  options: [SERVER_OPTION],
  examples: ['cairn token revoke 018f6d0c-5a4e-7cc2-9d2b-3f1c5a7e9b01'],
  async run(context, [id = ''], options) {
    await withServer(context, options, (server) => server.revokeToken(id, context.signal))
    context.report({ type: 'result', text: `Revoked token ${id}.` })
  },
}
