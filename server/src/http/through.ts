import { Readable, type Transform } from 'node:stream'
import type { Bytes } from '../domain/ports/blob-store.ts'

/** Bytes behind a transform of Node's, at the pace of their reader. Both ends are let go when the reader stops. */
export async function* through(source: Bytes, transform: Transform): AsyncGenerator<Uint8Array> {
  const input = Readable.from(source, { objectMode: false })
  input.on('error', (error) => transform.destroy(error))
  const feeding = (async () => {
    for await (const chunk of input) {
      if (!transform.write(chunk)) await new Promise<void>((resolve) => transform.once('drain', resolve).once('close', resolve))
      if (transform.destroyed) return
    }
    transform.end()
  })()
  feeding.catch(() => undefined)
  try {
    for await (const chunk of transform) yield chunk as Uint8Array
  } finally {
    transform.destroy()
    input.destroy()
  }
}
