import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import { holdInvitation } from './body.ts'

const IDLE_LOOK_MILLISECONDS = 50

export interface Listening {
  port: number
  /** Takes no new connections, lets what is in hand end for at most `seconds`, then cuts it off. */
  close(seconds: number): Promise<void>
}

/** @throws the system's error, `EADDRINUSE` among them */
export async function listen(app: Express, options: { host: string; port: number }): Promise<Listening> {
  const server = http.createServer({
    // Uploads take as long as they take; a body that stalls is noticed by its reader.
    requestTimeout: 0,
    headersTimeout: 60_000,
    // Longer than any client keeps an idle connection: whoever closes first must not be the server.
    keepAliveTimeout: 65_000,
    noDelay: true,
  })
  server.on('request', app)
  server.on('checkContinue', (req: http.IncomingMessage, res: http.ServerResponse) => {
    holdInvitation(req, () => res.writeContinue())
    server.emit('request', req, res)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    async close(seconds) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const cut = setTimeout(() => server.closeAllConnections(), seconds * 1000)
      // A connection that was busy when the server closed becomes idle later, and would be kept for the keep-alive time.
      const sweep = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MILLISECONDS)
      await closed
      clearTimeout(cut)
      clearInterval(sweep)
    },
  }
}
