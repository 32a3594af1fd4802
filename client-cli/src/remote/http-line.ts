import net, { type Socket } from 'node:net'
import type { Span } from '../cache/byte-spans.ts'

/** Where the bytes of a range go. Both may throw, which ends the answer. */
export interface RangeReader {
  /** Before the first byte: the size of the whole object. */
  begin(size: number): void
  /** In order. The bytes are gone after the call. */
  add(bytes: Uint8Array): void
}

export interface LineRequest {
  /** With query. */
  path: string
  headers: Readonly<Record<string, string>>
  span: Span
  signal: AbortSignal
}

/**
 * Connections that bring ranges of large objects and nothing else, each with one buffer that all its bytes come through. The
 * HTTP client of Node makes two new buffers of every read: of each GiB that costs a second of work and 100 MiB of memory.
 */
export interface Lines {
  /**
   * One try: true when all of the range was read. False when the line broke, or the answer is any other than the range that was
   * asked for: then HttpClient asks again for what was not read, and knows what it means. Rejects with what `reader` throws.
   */
  read(request: LineRequest, reader: RangeReader): Promise<boolean>
  close(): void
}

export interface LinesOptions {
  base: URL
  tls?: { verify?: boolean; ca?: string } | undefined
  connectSeconds: number
  stallSeconds: number
}

/** More does not make the reads fewer: the kernel holds no more for one of them. */
const BUFFER_BYTES = 256 * 1024
const HEAD_BYTES = 16 * 1024
const HEAD_END = '\r\n\r\n'

export function createLines(options: LinesOptions): Lines {
  const idle = new Set<Line>()
  const all = new Set<Line>()
  const open = async (): Promise<Line> => {
    const line: Line = await openLine(options, () => {
      idle.delete(line)
      all.delete(line)
    })
    all.add(line)
    return line
  }
  return {
    async read(request, reader) {
      const head = headOf(request, options.base)
      if (head === undefined || request.signal.aborted) return false
      const [kept] = idle
      const line = kept ?? (await open())
      idle.delete(line)
      const whole = await line.read({ ...request, head }, reader)
      if (whole && all.has(line)) idle.add(line)
      return whole
    },
    close: () => all.forEach((line) => line.close()),
  }
}

/** undefined when a header holds what would end it. */
function headOf({ path, headers, span }: LineRequest, base: URL): string | undefined {
  const named = { host: base.host, ...headers, range: `bytes=${span.start}-${span.end - 1}`, 'accept-encoding': 'identity' }
  const lines = Object.entries(named).map(([name, value]) => `${name}: ${value}`)
  const head = [`GET ${path} HTTP/1.1`, ...lines]
  return head.every((line) => /^[\t\x20-\x7e]*$/.test(line)) ? head.join('\r\n') + HEAD_END : undefined
}

interface Line {
  read(request: LineRequest & { head: string }, reader: RangeReader): Promise<boolean>
  close(): void
}

/** What has been read of one answer. */
interface Turn {
  span: Span
  reader: RangeReader
  head: Buffer
  /** Of the body; undefined before the head is whole. */
  left: number | undefined
  keep: boolean
  end(whole: boolean, failure?: { error: unknown }): void
}

async function openLine(options: LinesOptions, onClose: () => void): Promise<Line> {
  let turn: Turn | undefined
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  const callback = (length: number) => {
    if (turn) take(turn, buffer.subarray(0, length))
    else socket.destroy()
    return true
  }
  const socket = await connect(options, { buffer, callback })
  socket.setNoDelay(true).setTimeout(options.stallSeconds * 1000, () => socket.destroy())
  const slow = setTimeout(() => socket.destroy(), options.connectSeconds * 1000)
  socket.once('connect', () => clearTimeout(slow))
  // Why it broke is found out by whoever asks again.
  socket.on('error', () => undefined)
  socket.once('close', () => {
    clearTimeout(slow)
    onClose()
    turn?.end(false)
  })
  socket.once('end', () => socket.destroy())

  return {
    close: () => void socket.destroy(),
    read: ({ head, span, signal }, reader) =>
      new Promise((resolve, reject) => {
        const abort = () => void socket.destroy()
        signal.addEventListener('abort', abort, { once: true })
        const end: Turn['end'] = (whole, failure) => {
          signal.removeEventListener('abort', abort)
          const keep = whole && turn?.keep === true
          turn = undefined
          if (!keep) {
            onClose()
            socket.destroy()
          }
          if (failure) reject(failure.error as Error)
          else resolve(whole)
        }
        turn = { span, reader, head: Buffer.alloc(0), left: undefined, keep: false, end }
        if (socket.destroyed) end(false)
        else socket.write(head)
      }),
  }
}

async function connect(
  { base, tls }: LinesOptions,
  onread: { buffer: Buffer; callback: (length: number) => boolean },
): Promise<Socket> {
  const host = base.hostname.replace(/^\[|\]$/g, '')
  const port = Number(base.port) || (base.protocol === 'https:' ? 443 : 80)
  if (base.protocol !== 'https:') return net.connect({ host, port, onread })
  const { default: library } = await import('node:tls')
  const { verify = true, ca } = tls ?? {}
  const servername = net.isIP(host) === 0 ? { servername: host } : {}
  const where = { host, port, onread, rejectUnauthorized: verify, ...servername, ...(ca !== undefined && { ca }) }
  return library.connect(where)
}

function take(turn: Turn, bytes: Buffer): void {
  try {
    const body = turn.left === undefined ? takeHead(turn, bytes) : bytes
    if (body === undefined) return
    const left = turn.left ?? 0
    if (body.length > left) return turn.end(false)
    turn.left = left - body.length
    if (body.length > 0) turn.reader.add(body)
    if (turn.left === 0) turn.end(true)
  } catch (error) {
    turn.end(false, { error })
  }
}

/** The beginning of the body; undefined while the head is not whole, or when the answer is not for here. */
function takeHead(turn: Turn, bytes: Buffer): Buffer | undefined {
  const before = turn.head.length
  turn.head = Buffer.concat([turn.head, bytes])
  const end = turn.head.indexOf(HEAD_END)
  if (end < 0) {
    if (turn.head.length > HEAD_BYTES) turn.end(false)
    return undefined
  }
  const answer = parseHead(turn.head.toString('latin1', 0, end), turn.span)
  turn.head = turn.head.subarray(0, 0)
  if (!answer) {
    turn.end(false)
    return undefined
  }
  turn.left = answer.length
  turn.keep = answer.keep
  turn.reader.begin(answer.size)
  return bytes.subarray(end + HEAD_END.length - before)
}

/** undefined for anything but a part of the object that starts where it should, as it is, and says how long it is. */
function parseHead(head: string, span: Span): { size: number; length: number; keep: boolean } | undefined {
  const [status = '', ...lines] = head.split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (colon <= 0 || (headers.has(name) && /^(content|transfer)-/.test(name))) return undefined
    headers.set(name, line.slice(colon + 1).trim())
  }
  if (!/^HTTP\/1\.1 206(?: |$)/.test(status) || headers.has('transfer-encoding')) return undefined
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity') return undefined
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '')
  const [start, last, size] = [Number(range?.[1]), Number(range?.[2]), Number(range?.[3])]
  const length = Number(headers.get('content-length') ?? Number.NaN)
  if (!range || start !== span.start || last >= span.end || last >= size || length !== last - start + 1) return undefined
  return { size, length, keep: !/\bclose\b/i.test(headers.get('connection') ?? '') }
}
