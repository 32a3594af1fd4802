import { open } from 'node:fs/promises'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { createMd5 } from '../cache/md5.ts'

export interface HashJob {
  path: string
  legacy: boolean
  /** The bytes that are hashed are written to this existing file, so that copy and digest cannot disagree. */
  copyTo?: string
}

/** What a core keeps close by: with 2 MiB, reading and writing cost twice as much. */
const CHUNK_BYTES = 256 << 10

/** For worker threads, which may block. Returns the md5 in hex. */
export function hashFileSync({ path, legacy, copyTo }: HashJob): string {
  const source = openSync(path, 'r')
  const target = copyTo === undefined ? undefined : openSync(copyTo, 'w')
  try {
    const md5 = createMd5({ legacy })
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    for (let read = readSync(source, buffer); read > 0; read = readSync(source, buffer)) {
      const bytes = buffer.subarray(0, read)
      md5.update(bytes)
      if (target !== undefined) for (let offset = 0; offset < read;) offset += writeSync(target, bytes, offset)
    }
    return md5.digest()
  } finally {
    closeSync(source)
    if (target !== undefined) closeSync(target)
  }
}

/** For the main thread: while a chunk is hashed, the next is read and the last is written by the thread pool. */
export async function hashFile(
  job: HashJob,
  options: { signal: AbortSignal; onBytes?: (bytes: number) => void },
): Promise<string> {
  const source = await open(job.path, 'r')
  const target = job.copyTo === undefined ? undefined : await open(job.copyTo, 'w')
  const buffers = [0, 1, 2].map(() => Buffer.allocUnsafeSlow(CHUNK_BYTES))
  const md5 = createMd5({ legacy: job.legacy })
  const read = async (turn: number) => {
    const buffer = buffers[turn % 3] ?? Buffer.alloc(0)
    const { bytesRead } = await source.read(buffer, 0, buffer.length, null)
    return buffer.subarray(0, bytesRead)
  }
  let writing: Promise<unknown> = Promise.resolve()
  let reading: Promise<Buffer> | undefined
  try {
    let chunk: Buffer = await read(0)
    for (let turn = 1; chunk.length > 0; turn++) {
      options.signal.throwIfAborted()
      reading = read(turn)
      await writing
      if (target) writing = writeWhole(target, chunk)
      md5.update(chunk)
      options.onBytes?.(chunk.length)
      chunk = await reading
    }
    await writing
    return md5.digest()
  } finally {
    await Promise.allSettled([writing, reading])
    await source.close()
    await target?.close()
  }
}

async function writeWhole(target: Awaited<ReturnType<typeof open>>, bytes: Buffer): Promise<void> {
  for (let offset = 0; offset < bytes.length;) offset += (await target.write(bytes, offset)).bytesWritten
}
