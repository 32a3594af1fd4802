import { setTimeout as sleep } from 'node:timers/promises'
import type { Request, Response } from 'express'
import { isTree, md5Of } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { freeChunk } from '../domain/blocks.ts'
import { loadObject, readObject } from '../domain/objects.ts'
import type { ByteRange } from '../domain/ports/blob-store.ts'
import type { ObjectRow, ProjectRow } from '../domain/ports/catalog.ts'
import { answerBytes, sendStream } from './answer.ts'
import type { HttpContext } from './context.ts'

/** Up to here a probe reads the body along with the head and keeps its connection. */
const SMALL_BYTES = 64 * 1024
/** A tree up to here is answered from memory. */
const TREE_BYTES = 16 * 1024 * 1024
const STREAM_BYTES = 256 * 1024
/** A stock client's probe is a GET that it drops after the head: the storage is asked only when it has not gone by then. */
const PROBE_MILLISECONDS = 10

export interface SendObject {
  project: ProjectRow
  row: ObjectRow
  /** Whether the asker is a stock client: it may only be probing, and it must never be told to come back later. */
  stock: boolean
  signal: AbortSignal
}

/** Answers a GET or HEAD for an object, whole or one range. */
export async function sendObject(context: HttpContext, req: Request, res: Response, send: SendObject): Promise<void> {
  const { row } = send
  res.setHeader('Content-Type', 'application/octet-stream')
  res.setHeader('ETag', `"${md5Of(row.digest)}"`)
  res.setHeader('Accept-Ranges', 'bytes')
  res.setHeader('Cache-Control', 'private, no-transform')
  const range = wantedRange(req, res, row)
  const { start, end } = range ?? { start: 0, end: row.size }
  if (range) res.setHeader('Content-Range', `bytes ${start}-${end - 1}/${row.size}`)
  const status = range ? 206 : 200
  if (req.method === 'HEAD') {
    res.statusCode = status
    res.setHeader('Content-Length', end - start)
    res.end()
  } else if (row.size <= SMALL_BYTES || (isTree(row.digest) && row.size <= TREE_BYTES)) {
    const bytes = await remember(context, send)
    answerBytes(req, res, status, bytes.subarray(start, end))
  } else {
    res.statusCode = status
    res.setHeader('Content-Length', end - start)
    await streamObject(context, res, send, range)
  }
}

async function remember(context: HttpContext, { project, row, stock, signal }: SendObject): Promise<Uint8Array> {
  const known = context.memory.find(row)
  if (known) return known
  const release = await context.admission.enter(row.size, { wait: stock, signal })
  try {
    const bytes = await loadObject(context.stores, project.id, row, signal)
    context.memory.keep(row, bytes)
    return bytes
  } finally {
    release()
  }
}

async function streamObject(context: HttpContext, res: Response, send: SendObject, range: ByteRange | undefined): Promise<void> {
  const { project, row, stock, signal } = send
  if (stock) {
    res.flushHeaders()
    await sleep(PROBE_MILLISECONDS)
    if (res.destroyed) return
  }
  const release = await context.admission.enter(STREAM_BYTES, { wait: stock, signal })
  try {
    const bytes = readObject(context.stores, project.id, row, { range, signal })
    // What is read for one answer is read for no other.
    await sendStream(res, bytes, { idleSeconds: context.limits.bodyIdleSeconds, sent: freeChunk })
  } finally {
    release()
  }
}

/** One satisfiable range; undefined for the whole. @throws CairnError RANGE_NOT_SATISFIABLE */
function wantedRange(req: Request, res: Response, row: ObjectRow): ByteRange | undefined {
  const header = req.headers.range
  if (header === undefined) return undefined
  const condition = req.headers['if-range']
  if (condition !== undefined && condition !== `"${md5Of(row.digest)}"`) return undefined
  const range = parseRange(header, row.size)
  if (range === 'unsatisfiable') {
    res.setHeader('Content-Range', `bytes */${row.size}`)
    throw new CairnError('RANGE_NOT_SATISFIABLE', `${row.digest}: has ${row.size} bytes, '${header.slice(0, 80)}' is beyond them`)
  }
  return range
}

/** Forms that HTTP lets a server ignore (several ranges, other units, nonsense) mean the whole. */
export function parseRange(header: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim())
  if (!match) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size }
  }
  const start = Number(first)
  const end = last === '' ? size : Math.min(Number(last) + 1, size)
  if (last !== '' && Number(last) < start) return undefined
  return start >= size ? 'unsatisfiable' : { start, end }
}
