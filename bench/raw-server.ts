import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'

const CHUNK_BYTES = 1024 * 1024

/** The least that a server can do: it writes a body to one file, and sends it back. It looks at nothing and syncs nothing. */
export async function startRawServer(dir: string): Promise<{ url: string; close(): Promise<void> }> {
  const file = path.join(dir, 'body')
  const server = createServer({ requestTimeout: 0, highWaterMark: CHUNK_BYTES }, (request, response) => {
    const work =
      request.method === 'PUT'
        ? pipeline(request, createWriteStream(file)).then(() => void response.writeHead(201, { 'content-length': 0 }).end())
        : stat(file).then(({ size }) => {
            response.writeHead(200, { 'content-length': size })
            return pipeline(createReadStream(file, { highWaterMark: CHUNK_BYTES }), response)
          })
    work.catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  }
}
