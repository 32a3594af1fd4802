import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface DelayProxy {
  url: string
  /** So far. */
  counts: { connections: number; up: number; down: number }
  close(): Promise<void>
}

/** What one direction of a connection may hold back; 30 ms of a 10 Gbit line are 38 MB. */
const HELD_BYTES = 64 * 1024 * 1024

/**
 * A line of `latencyMs` each way before a server: each segment leaves that much later than it came, in order, and no connection
 * waits for another. A new connection costs a round trip before its first byte, as its handshake would. It limits no bandwidth,
 * and it loses nothing.
 */
export async function startDelayProxy(target: string, options: { latencyMs: number }): Promise<DelayProxy> {
  const to = new URL(target)
  const { latencyMs } = options
  const counts = { connections: 0, up: 0, down: 0 }
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    counts.connections++
    const far = connect({ host: to.hostname, port: Number(to.port), allowHalfOpen: true, noDelay: true })
    for (const socket of [near, far]) {
      open.add(socket)
      socket.on('close', () => open.delete(socket))
    }
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
    carry(near, far, { latencyMs, from: performance.now() + 2 * latencyMs, count: (bytes) => (counts.up += bytes) })
    carry(far, near, { latencyMs, from: 0, count: (bytes) => (counts.down += bytes) })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      return closed
    },
  }
}

interface Line {
  latencyMs: number
  /** Nothing is on its way before this time. */
  from: number
  count(bytes: number): void
}

/** Passes one direction on. A segment that was let go before the receiver could take it is Node's to hold, and counts as held. */
function carry(source: Socket, sink: Socket, { latencyMs, from, count }: Line): void {
  const queue: Array<{ due: number; bytes: Buffer | undefined }> = []
  let held = 0
  let waiting: NodeJS.Timeout | undefined
  const put = (bytes: Buffer | undefined) => {
    queue.push({ due: Math.max(performance.now(), from) + latencyMs, bytes })
    if (latencyMs === 0) release()
    else waiting ??= setTimeout(release, (queue[0]?.due ?? 0) - performance.now())
  }
  function release(): void {
    waiting = undefined
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      const wait = head.due - performance.now()
      // Timers go by whole milliseconds; half of one too early is nearer than one too late.
      if (wait > 0.5) {
        waiting = setTimeout(release, wait)
        return
      }
      queue.shift()
      const { bytes } = head
      if (bytes === undefined) sink.end()
      else sink.write(bytes, () => letGo(bytes.length))
    }
  }
  function letGo(bytes: number): void {
    held -= bytes
    if (held < HELD_BYTES && source.isPaused()) source.resume()
  }
  source.on('data', (bytes: Buffer) => {
    count(bytes.length)
    held += bytes.length
    if (held >= HELD_BYTES) source.pause()
    put(bytes)
  })
  source.on('end', () => put(undefined))
  source.on('close', () => {
    if (!source.readableEnded) sink.destroy()
  })
  sink.on('close', () => {
    clearTimeout(waiting)
    // One that was read to its end may still be written to.
    if (!source.readableEnded) source.destroy()
  })
}
