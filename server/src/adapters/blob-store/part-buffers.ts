/** Buffers of parts on their way to a bucket, bounded in all. */
export interface PartBuffers {
  /** Waits in line for room. A buffer longer than all the room there is comes when nothing else is out. Give it back. */
  take(length: number, signal: AbortSignal): Promise<Buffer>
  /** A buffer if there is room at once and nobody waits. */
  tryTake(length: number): Buffer | undefined
  give(buffer: Buffer): void
}

interface Waiting {
  length: number
  enter: (buffer: Buffer) => void
}

/** Idle buffers kept: one that is thrown away takes room until the garbage is collected, which may be long after. */
const KEPT_BYTES = 64 * 1024 * 1024

export function createPartBuffers(bytes: number): PartBuffers {
  const line = new Set<Waiting>()
  const idle: Buffer[] = []
  let out = 0
  let kept = 0

  const fits = (length: number) => out === 0 || out + length <= bytes

  const open = (length: number): Buffer => {
    out += length
    const at = idle.findIndex((buffer) => buffer.length === length)
    const [buffer] = at < 0 ? [] : idle.splice(at, 1)
    if (!buffer) return Buffer.allocUnsafeSlow(length)
    kept -= length
    return buffer
  }

  return {
    async take(length, signal) {
      signal.throwIfAborted()
      if (line.size === 0 && fits(length)) return open(length)
      return await new Promise<Buffer>((resolve, reject) => {
        const leave = () => {
          line.delete(waiting)
          reject(signal.reason as Error)
        }
        const waiting: Waiting = {
          length,
          enter(buffer) {
            signal.removeEventListener('abort', leave)
            resolve(buffer)
          },
        }
        line.add(waiting)
        signal.addEventListener('abort', leave, { once: true })
      })
    },

    tryTake: (length) => (line.size === 0 && fits(length) ? open(length) : undefined),

    give(buffer) {
      out -= buffer.length
      if (kept + buffer.length <= KEPT_BYTES) {
        idle.push(buffer)
        kept += buffer.length
      }
      for (const waiting of line) {
        if (!fits(waiting.length)) return
        line.delete(waiting)
        waiting.enter(open(waiting.length))
      }
    },
  }
}
