import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readdirSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RemoteInfo } from '@cairn/protocol/api'
import { type Digest, packDigests, unpackDigests } from '@cairn/protocol/digest'
import { DIGESTS_TYPE, TREE_DELTA_TYPE } from '@cairn/protocol/limits'
import { serializeTree } from '@cairn/protocol/tree'
import { encodeTreeDelta } from '@cairn/protocol/tree-difference'
import { createCairnRemote } from '../../client-cli/src/remote/cairn-remote.ts'
import { NO_CREDENTIALS } from '../../client-cli/src/remote/credentials.ts'
import { createHttpClient, type HttpClient } from '../../client-cli/src/remote/http-client.ts'
import { localTree } from '../../client-cli/src/remote/outgoing.ts'
import { digestOf, packOf } from '../rig/server.ts'
import { createStockedCache, quietly, type StockedCache } from '../rig/stocked-cache.ts'

/** A server that says what the test wants it to. */
let answer: (req: IncomingMessage, res: ServerResponse, body: Buffer) => void = () => undefined
let asked: string[] = []
let http: HttpClient
let url = ''
let stocked: StockedCache
const server = createServer((req, res) => {
  const chunks: Buffer[] = []
  asked.push(`${req.method} ${(req.url ?? '').replace(/^\/p\//, '')}`)
  req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => answer(req, res, Buffer.concat(chunks)))
})

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  asked = []
  stocked = createStockedCache()
  http = createHttpClient({ base: url, credentials: NO_CREDENTIALS, sockets: 4 })
})
afterEach(() => {
  http.close()
  stocked.remove()
})

const limits = {
  packBytes: 1 << 25,
  packMembers: 65_536,
  memberBytes: 1 << 22,
  treeBytes: 1 << 28,
  digests: 250_000,
  parallel: 4,
}
const remote = () => {
  const info: RemoteInfo = {
    server: 'cairn',
    version: '1',
    api: 1,
    project: 'p',
    base: '/p',
    limits,
    capabilities: ['tree-deltas'],
  }
  return createCairnRemote({ name: 'r', url, info, http, cache: stocked.cache })
}
const md5 = (text: string) => digestOf(text)
const files = (count: number, more: Record<string, Digest> = {}) => ({
  ...Object.fromEntries(Array.from({ length: count }, (_, index) => [`folder/file-number-${index}`, md5(`content ${index}`)])),
  ...more,
})
const bytesOf = (list: Record<string, Digest>) => serializeTree(Object.entries(list).map(([path, digest]) => ({ path, digest })))
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve()
  yield bytes
}
const deltaOf = async (base: Uint8Array, tree: Uint8Array) =>
  Buffer.from((await encodeTreeDelta(once(base), once(tree), 1 << 24)) ?? '')

describe('a server that is asked for a tree', () => {
  const base = bytesOf(files(1000))
  const wanted = bytesOf(files(1000, { more: md5('more') }))
  const digest = digestOf(wanted, { tree: true })

  const fetchFrom = async (trees: (res: ServerResponse) => void, whole: Uint8Array | undefined = wanted) => {
    const old = stocked.tree(files(1000))
    answer = (req, res) => {
      if (req.url?.startsWith('/p/trees/')) return trees(res)
      res.end(whole ? packOf([{ bytes: whole, digest }]) : '')
    }
    const outcomes: string[] = []
    const options = { earlier: () => Promise.resolve([old]), onObject: (_: Digest, outcome: string) => outcomes.push(outcome) }
    await remote().fetch([digest], stocked.cache, quietly(options))
    return outcomes
  }
  const sendDelta =
    (delta: Uint8Array, base: string, headers: Record<string, string> = {}) =>
    (res: ServerResponse) => {
      res.writeHead(200, { 'content-type': TREE_DELTA_TYPE, 'cairn-base': base, ...headers })
      res.end(delta)
    }

  test('gives what differs, and nothing else is asked for', async () => {
    const delta = await deltaOf(base, wanted)
    expect(await fetchFrom(sendDelta(delta, digestOf(base, { tree: true })))).toEqual(['transferred'])
    expect(asked).toHaveLength(1)
    expect(stocked.read(digest).equals(wanted)).toBe(true)
    expect(await fetchFrom(sendDelta(gzipSync(delta), digestOf(base, { tree: true }), { 'content-encoding': 'gzip' }))).toEqual([
      'transferred',
    ])
  })

  test.each<[string, (delta: Buffer) => [Uint8Array, string, Record<string, string>?]]>([
    ['bytes of another tree', (delta) => [Buffer.concat([delta, Buffer.from([0, 0, 1, 32])]), digestOf(base, { tree: true })]],
    ['no delta at all', () => [Buffer.from('<html>'), digestOf(base, { tree: true })]],
    ['a delta without an end', (delta) => [delta.subarray(0, -1), digestOf(base, { tree: true })]],
    ['a delta to a tree that it was not told of', (delta) => [delta, digestOf('elsewhere', { tree: true })]],
    ['a base that is no digest', (delta) => [delta, '../../etc/passwd']],
    ['gzip that is none', (delta) => [delta, digestOf(base, { tree: true }), { 'content-encoding': 'gzip' }]],
    [
      'a delta that swells to 20 MiB',
      () => [gzipSync(Buffer.alloc(20 << 20)), digestOf(base, { tree: true }), { 'content-encoding': 'gzip' }],
    ],
    [
      'a tree beyond all limits',
      () => [
        Buffer.concat([Buffer.from('CAIRNTD1'), Buffer.from([0, 255, 255, 255, 255, 127, 0])]),
        digestOf(base, { tree: true }),
      ],
    ],
  ])('and gives %s does no harm: the whole comes', async (_, lie) => {
    const [bytes, name, headers] = lie(await deltaOf(base, wanted))
    expect(await fetchFrom(sendDelta(bytes, name, headers))).toEqual(['transferred'])
    expect(asked).toEqual([expect.stringContaining('GET trees/'), 'POST objects/fetch'])
    expect(stocked.read(digest).equals(wanted)).toBe(true)
    expect(readdirSync(stocked.dir, { recursive: true }).filter((name) => String(name).includes('incoming/'))).toEqual([])
  })

  test('and knows no such request does no harm either', async () => {
    expect(
      await fetchFrom((res) =>
        res.writeHead(404, { 'content-type': 'application/json' }).end('{"code": "NOT_FOUND", "message": "no such page"}'),
      ),
    ).toEqual(['transferred'])
    expect(await fetchFrom((res) => res.writeHead(405).end())).toEqual(['transferred'])
  })

  test('gives the whole where that is better, as gzip or as it is', async () => {
    const whole =
      (bytes: Uint8Array, headers = {}) =>
      (res: ServerResponse) => {
        res.writeHead(200, { 'content-type': 'application/json', ...headers }).end(bytes)
      }
    expect(await fetchFrom(whole(wanted))).toEqual(['transferred'])
    expect(await fetchFrom(whole(gzipSync(wanted), { 'content-encoding': 'gzip' }))).toEqual(['transferred'])
    expect(asked.every((request) => request.startsWith('GET trees/'))).toBe(true)
    expect(await fetchFrom(whole(base))).toEqual(['transferred'])
    expect(asked.at(-1)).toBe('POST objects/fetch')
  })

  test('and makes one with a path that climbs out is not believed when the tree is read', async () => {
    const evil = Buffer.from(
      `[{"md5": "${'0'.repeat(32)}", "relpath": "../../evil"}${Buffer.from(base).toString().slice(1).replace(/^/, ', ')}`,
    )
    const name = digestOf(evil, { tree: true })
    const old = stocked.tree(files(1000))
    const delta = await deltaOf(base, evil)
    answer = (_req, res) => sendDelta(delta, old)(res)
    await remote().fetch([name], stocked.cache, quietly({ earlier: () => Promise.resolve([old]) }))
    expect(() => stocked.cache.readTree(name)).toThrow('unsafe path')
    expect(() => stocked.cache.scanTree(name, () => undefined)).toThrow('unsafe path')
  })
})

describe('a server that is sent a changed tree', () => {
  /** Answers the question for roots with everything, trees with `trees`, and lets the commit pass. */
  const pushTo = async (
    trees: (req: IncomingMessage, res: ServerResponse) => void,
    more: { packs?: (res: ServerResponse, nth: number) => void; commits?: (res: ServerResponse, nth: number) => void } = {},
  ) => {
    const kept = stocked.file('kept in the cache and in no tree')
    const file = stocked.file('content 7')
    const old = stocked.tree(files(1000))
    const fresh = stocked.tree(files(1000, { more: md5('more') }))
    stocked.file('more')
    const packed: Buffer[] = []
    let commits = 0
    const storeAll = (res: ServerResponse) => res.end(JSON.stringify({ stored: 1, exists: 0, refused: [] }))
    answer = (req, res, body) => {
      if (req.url?.includes('objects/missing')) {
        res.setHeader('cairn-session', '11111111-1111-4111-8111-111111111111')
        res.setHeader('content-type', DIGESTS_TYPE)
        res.end(packDigests(unpackDigests(body)))
      } else if (req.url?.includes('/trees?')) trees(req, res)
      else if (req.url?.includes('/packs')) {
        packed.push(body)
        ;(more.packs ?? storeAll)(res, packed.length)
      } else if (more.commits) more.commits(res, ++commits)
      else res.end(JSON.stringify({ linked: [fresh] }))
    }
    const result = await remote().push([localTree(stocked.cache, fresh)], [], quietly({ earlier: () => Promise.resolve([old]) }))
    return { result, packed, sent: Buffer.concat(packed), kept, file }
  }
  const lacks =
    (...digests: Digest[]) =>
    (_req: IncomingMessage, res: ServerResponse) => {
      res.writeHead(200, { 'content-type': DIGESTS_TYPE, 'cairn-linked': 'false' }).end(packDigests(digests))
    }

  test('gets what differs, and of the files only those that the tree names, in its order', async () => {
    const kept = digestOf('kept in the cache and in no tree')
    const { result, sent } = await pushTo(lacks(md5('content 7'), kept, md5('more')))
    expect(result).toMatchObject({ failed: [] })
    expect(asked.filter((request) => request.includes('trees?'))).toEqual([expect.stringContaining('base=')])
    expect(sent.includes('kept in the cache')).toBe(false)
    expect(sent.includes('content 7')).toBe(true)
  })

  test('gets what the tree adds beside it, and not again when it asks for that', async () => {
    const { result, packed } = await pushTo(lacks(md5('more')))
    expect(result).toMatchObject({ failed: [], pushed: 2 })
    expect(packed.map((pack) => pack.includes('more'))).toEqual([true])
  })

  test('and had what the tree adds does not count it as sent', async () => {
    const exists = (res: ServerResponse) => res.end(JSON.stringify({ stored: 0, exists: 1, refused: [] }))
    const { result } = await pushTo(lacks(), { packs: exists })
    expect(result).toMatchObject({ failed: [], pushed: 1 })
  })

  test('and refuses what the tree adds gets it again when it asks for it', async () => {
    const refuseFirst = (res: ServerResponse, nth: number) => {
      if (nth > 1) return void res.end(JSON.stringify({ stored: 1, exists: 0, refused: [] }))
      res.writeHead(422, { 'content-type': 'application/json' }).end('{"code": "BAD_PACK", "message": "no"}')
    }
    const { result, packed } = await pushTo(lacks(md5('more')), { packs: refuseFirst })
    expect(result).toMatchObject({ failed: [], pushed: 2 })
    expect(packed).toHaveLength(2)
  })

  test('and loses what the tree added gets it again before the commit', async () => {
    const lost = JSON.stringify({ code: 'TREE_INCOMPLETE', message: 'gone', data: { missing: [md5('more')] } })
    const commits = (res: ServerResponse, nth: number) => {
      if (nth > 1) res.end(JSON.stringify({ linked: [] }))
      else res.writeHead(409, { 'content-type': 'application/json' }).end(lost)
    }
    const { result, packed } = await pushTo(lacks(md5('more')), { commits })
    expect(result).toMatchObject({ failed: [] })
    expect(packed.map((pack) => pack.includes('more'))).toEqual([true, true])
  })

  test.each(['BASE_UNKNOWN', 'BAD_DELTA', 'DIGEST_MISMATCH', 'BAD_TREE', 'NOT_FOUND', 'BODY_TOO_LARGE'])(
    'and answers %s gets the whole',
    async (code) => {
      const { result } = await pushTo((req, res) => {
        if (!req.url?.includes('base=')) return lacks()(req, res)
        res
          .writeHead(code === 'BASE_UNKNOWN' ? 409 : 422, { 'content-type': 'application/json' })
          .end(JSON.stringify({ code, message: 'no' }))
      })
      expect(result).toMatchObject({ failed: [], pushed: 2 })
      expect(asked.filter((request) => request.includes('trees?')).map((request) => request.includes('base='))).toEqual([
        true,
        false,
      ])
    },
  )
})
