import { createCipheriv, createHash } from 'node:crypto'
import http from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { createProject } from './place.ts'
import { figures } from './play.ts'
import { forgetPeak, peakMib } from './proc.ts'
import type { CairnServer } from './servers.ts'
import type { World } from './world.ts'

const MIB = 1024 * 1024
/** A multiple of it, so that what is sent neither compresses nor repeats within what a server looks at together. */
const BLOCK_BYTES = 16 * MIB

/** Many large uploads to each server at once: what it holds in memory meanwhile. */
export async function uploadAtOnce(world: World): Promise<void> {
  const { machine, record, options, say } = world
  for (const server of world.servers.filter(({ name }) => name !== 'S3 direct')) {
    const subject = `cairn → ${server.name}`
    const slug = await createProject(server, 'uploads')
    const digests = digestsOfUploads(options.uploads, options.mib)
    forgetPeak(server.pid)
    const start = peakMib(server.pid)
    await machine.settle()
    const timing = await machine.time(async () => {
      const all = digests.map((digest, nth) => upload(server, slug, digest, { nth, mib: options.mib, stop: options.uploadStop }))
      await Promise.all(all)
    })
    const peak = peakMib(server.pid)
    record.keep({ set: 'scale', operation: 'uploads', subject, round: 0, ...figures(timing), mib: peak })
    record.note({ set: 'scale', name: 'uploads: peak of the server', subject, value: peak, unit: 'MiB' })
    say(
      `scale: ${options.uploads} uploads, ${subject}: ${timing.seconds.toFixed(1)} s, from ${start.toFixed(0)} to ${peak.toFixed(0)} MiB`,
    )
  }
}

const BLOCK = createCipheriv('aes-128-ctr', Buffer.alloc(16, 23), Buffer.alloc(16)).update(Buffer.alloc(BLOCK_BYTES))

/** Each ends with its number and is otherwise the same. */
const tailOf = (nth: number): Buffer => Buffer.from(String(nth).padStart(16, '0'))

function* bodyOf(nth: number, mib: number): Generator<Buffer> {
  yield* commonPart(mib)
  yield tailOf(nth)
}

function* commonPart(mib: number): Generator<Buffer> {
  let left = mib * MIB - tailOf(0).length
  for (let at = 0; left > 0; at = (at + MIB) % BLOCK_BYTES) {
    const part = BLOCK.subarray(at, at + Math.min(left, MIB))
    yield part
    left -= part.length
  }
}

function digestsOfUploads(count: number, mib: number): string[] {
  const common = createHash('md5')
  for (const part of commonPart(mib)) common.update(part)
  return Array.from({ length: count }, (_, nth) => common.copy().update(tailOf(nth)).digest('hex'))
}

interface Upload {
  nth: number
  mib: number
  /** Cut after so many MiB; whole when that is all of it. */
  stop: number
}

const RETRY_MILLISECONDS = 500
const TRIES = 1000

/** Comes again when the server has too much to do, as any client does. */
async function upload(server: CairnServer, slug: string, digest: string, body: Upload): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const status = await put(`${server.url}/api/v1/projects/${slug}/objects/${digest}`, server.adminToken, body)
    if (status === 'cut' || status === 200 || status === 201) return
    if (status !== 503 && status !== 429) throw new Error(`upload ${body.nth} was answered with ${status}`)
    await pause(RETRY_MILLISECONDS * (1 + Math.random()))
  }
  throw new Error(`upload ${body.nth} found no place`)
}

function put(url: string, token: string, { nth, mib, stop }: Upload): Promise<number | 'cut'> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-length': mib * MIB, 'content-type': 'application/octet-stream' }
    const request = http.request(url, { method: 'PUT', headers, agent: false })
    const parts = bodyOf(nth, mib)
    let sent = 0
    let answered = false
    const feed = (): void => {
      for (;;) {
        if (answered) return
        if (stop < mib && sent >= stop * MIB) {
          request.destroy()
          return resolve('cut')
        }
        const next = parts.next()
        if (next.done) return void request.end()
        sent += next.value.length
        if (!request.write(next.value)) return void request.once('drain', feed)
      }
    }
    request.on('response', (response) => {
      answered = true
      response.resume()
      resolve(response.statusCode ?? 0)
      if (sent < mib * MIB) request.destroy()
    })
    request.on('error', (error) => (answered ? undefined : reject(error)))
    feed()
  })
}
