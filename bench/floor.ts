import { createHash, hash } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { filesBelow } from './data-set.ts'

/**
 * What this machine needs for the bytes of an operation alone, in Node as tight as it can be, in one thread: no records, no
 * listing, nothing made durable, nothing checked. An operation of a real tool is compared with the floor of its name.
 */
export interface Floor {
  operation: string
  work(place: FloorPlace): void | Promise<void>
}

export interface FloorPlace {
  /** The data. */
  data: string
  /** An empty folder. */
  scratch: string
  /** A server that only keeps one body, in another process. */
  url: string
}

const LARGE = 4 * 1024 * 1024

export const LOCAL_FLOORS: readonly Floor[] = [
  { operation: 'add, cold', work: ingest },
  { operation: 'add, nothing new', work: lookAtAll },
  { operation: 'status', work: lookAtAll },
  { operation: 'checkout, nothing to do', work: lookAtAll },
  { operation: 'checkout, copy', work: copyAll },
  { operation: 'checkout, hardlink', work: linkAll },
]

/** `push` must come before `pull`. */
export const TRANSFER_FLOORS: readonly Floor[] = [
  { operation: 'push, first', work: putAll },
  { operation: 'pull, fresh clone', work: getAll },
]

function lookAtAll({ data }: FloorPlace): void {
  for (const file of filesBelow(data)) lstatSync(file)
}

/** Reads, hashes, and writes under a name made of the hash, by a temporary name. */
function ingest({ data, scratch }: FloorPlace): void {
  const folders = new Set<string>()
  for (const file of filesBelow(data)) {
    const draft = path.join(scratch, 'draft')
    const digest = statSync(file).size < LARGE ? ingestSmall(file, draft) : ingestLarge(file, draft)
    const folder = path.join(scratch, digest.slice(0, 2))
    if (!folders.has(folder)) mkdirSync(folder)
    folders.add(folder)
    renameSync(draft, path.join(folder, digest.slice(2)))
  }
}

function ingestSmall(file: string, draft: string): string {
  const bytes = readFileSync(file)
  writeFileSync(draft, bytes)
  return hash('md5', bytes)
}

function ingestLarge(name: string, draft: string): string {
  const sum = createHash('md5')
  const to = openSync(draft, 'w')
  eachBlock(name, (block) => {
    sum.update(block)
    writeSync(to, block)
  })
  closeSync(to)
  return sum.digest('hex')
}

function eachBlock(name: string, take: (block: Buffer) => void): void {
  const block = Buffer.allocUnsafe(1 << 20)
  const file = openSync(name, 'r')
  for (let read = readSync(file, block); read > 0; read = readSync(file, block)) take(block.subarray(0, read))
  closeSync(file)
}

/** For small files reading and writing beats `copyFile`, for large ones the kernel's copy does. */
function copyAll({ data, scratch }: FloorPlace): void {
  inSameFolders(data, scratch, (from, to) =>
    statSync(from).size < LARGE ? writeFileSync(to, readFileSync(from)) : copyFileSync(from, to),
  )
}

function linkAll({ data, scratch }: FloorPlace): void {
  inSameFolders(data, scratch, linkSync)
}

function inSameFolders(data: string, scratch: string, place: (from: string, to: string) => void): void {
  const folders = new Set<string>()
  for (const from of filesBelow(data)) {
    const to = path.join(scratch, path.relative(data, from))
    const folder = path.dirname(to)
    if (!folders.has(folder)) mkdirSync(folder, { recursive: true })
    folders.add(folder)
    place(from, to)
  }
}

/** All the bytes as the body of one PUT. */
async function putAll({ data, url }: FloorPlace): Promise<void> {
  const request = http.request(url, { method: 'PUT' })
  const answered = new Promise<void>((resolve, reject) => {
    request.on('response', (response) => response.resume().on('end', resolve))
    request.on('error', reject)
  })
  await pipeline(bytesOf(data), request)
  await answered
}

function* bytesOf(data: string): Generator<Buffer> {
  for (const file of filesBelow(data)) {
    if (statSync(file).size < LARGE) yield readFileSync(file)
    else yield* blocksOf(file)
  }
}

function* blocksOf(name: string): Generator<Buffer> {
  const file = openSync(name, 'r')
  for (;;) {
    const block = Buffer.allocUnsafe(1 << 20)
    const read = readSync(file, block)
    if (read === 0) break
    yield block.subarray(0, read)
  }
  closeSync(file)
}

/** One GET of what `putAll` sent, hashed, and written as the files that it is made of. */
async function getAll({ data, scratch, url }: FloorPlace): Promise<void> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get(url, resolve).on('error', reject)
  })
  const files = filesBelow(data)
  let left = 0
  let to: number | undefined
  let sum = createHash('md5')
  let count = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length;) {
      if (to === undefined) {
        left = statSync(files.next().value as string).size
        to = openSync(path.join(scratch, String(count++)), 'w')
        sum = createHash('md5')
      }
      const part = chunk.subarray(at, at + left)
      sum.update(part)
      writeSync(to, part)
      at += part.length
      left -= part.length
      if (left > 0) continue
      sum.digest()
      closeSync(to)
      to = undefined
    }
  }
}
