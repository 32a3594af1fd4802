import net from 'node:net'

export interface RawAnswer {
  status: number
  reason: string
  head: string
  body: string
}

export interface RawConnection {
  write(bytes: string | Uint8Array): void
  /** The next answer, with as much of its body as came with it; rejects when the connection ends first. */
  answer(): Promise<RawAnswer>
  /** Resolves when the server has closed the connection. */
  closed: Promise<void>
  /** What arrived since the last answer. */
  received(): Buffer
  destroy(): void
}

/** A connection that says what a test wants it to, well-formed or not. */
export function connectRaw(url: string): RawConnection {
  const { hostname, port } = new URL(url)
  const socket = net.connect(Number(port), hostname)
  let received = Buffer.alloc(0)
  let onBytes: () => void = () => undefined
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    onBytes()
  })
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return {
    write: (bytes) => void socket.write(bytes),
    answer: () =>
      new Promise((resolve, reject) => {
        onBytes = () => {
          const end = received.indexOf('\r\n\r\n')
          if (end < 0) return
          const head = received.subarray(0, end).toString('latin1')
          const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
          if (!/ 1\d\d /.test(head.split('\r\n')[0] ?? '') && received.length < end + 4 + length) return
          onBytes = () => undefined
          const [, status = '0', reason = ''] = /^HTTP\/1\.1 (\d+) ?(.*)$/m.exec(head) ?? []
          const body = received.subarray(end + 4, end + 4 + length).toString()
          received = received.subarray(end + 4 + length)
          resolve({ status: Number(status), reason: reason.trim(), head, body })
        }
        void closed.then(() => reject(new Error(`closed after ${received.toString('latin1').slice(0, 200)}`)))
        onBytes()
      }),
    closed,
    received: () => received,
    destroy: () => void socket.destroy(),
  }
}
