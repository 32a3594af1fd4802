import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DIGESTS_TYPE, MAX_DIGESTS, PACK_TYPE } from '@cairn/protocol/api'
import { type Digest, makeDigest, objectPath, packDigests, PACKED_DIGEST_BYTES } from '@cairn/protocol/digest'
import { MAX_MEMBER_BYTES, PACK_MAGIC } from '@cairn/protocol/pack'
import { connectRaw } from '../rig/raw-http.ts'
import { digestOf, packOf, startTestServer, type TestServer } from '../rig/server.ts'

const P = '/api/v1/projects/demo'
const OBJECT_LIMIT = 2 * 1024 * 1024
const TREE_LIMIT = 1024 * 1024
let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ limits: { objectBytes: OBJECT_LIMIT, treeBytes: TREE_LIMIT, bodyIdleSeconds: 1 } })
})
afterAll(() => server.stop())

const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code: string }).code]
const isThere = async (digest: Digest) => (await server.ask('HEAD', `${P}/objects/${digest}`)).status === 200
const head = (method: string, path: string, ...lines: string[]) =>
  [`${method} ${path} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${server.adminToken}`, ...lines, '', ''].join('\r\n')
const sendTree = (text: string, digest = digestOf(text, { tree: true })) =>
  server.ask('POST', `${P}/trees?digest=${digest}`, { body: text })
const sendPack = (bytes: Uint8Array) => server.ask('POST', `${P}/packs`, { body: bytes, headers: { 'Content-Type': PACK_TYPE } })
const blobCount = async () => {
  let count = 0
  for await (const _ of server.blobStore.list('', AbortSignal.timeout(5000))) count++
  return count
}

describe('bodies', () => {
  test('bytes that hash to something else are refused and leave nothing behind', async () => {
    const before = await blobCount()
    const digest = digestOf('the promise')
    expect(await codeOf(await server.ask('PUT', `${P}/objects/${digest}`, { body: 'the delivery' }))).toEqual([
      422,
      'DIGEST_MISMATCH',
    ])
    expect(await isThere(digest)).toBe(false)
    expect(await blobCount()).toBe(before)
  })

  test('a body shorter than announced is no object', async () => {
    const bytes = 'cut short'
    const connection = connectRaw(server.url)
    connection.write(head('PUT', `${P}/objects/${digestOf(bytes)}`, 'Content-Length: 20'))
    connection.write(bytes)
    await new Promise((resolve) => setTimeout(resolve, 100))
    connection.destroy()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await isThere(digestOf(bytes))).toBe(false)
  })

  test('a chunked body without its end is no object', async () => {
    const bytes = 'no last chunk'
    const connection = connectRaw(server.url)
    connection.write(head('POST', `/dvc/demo/${objectPath(digestOf(bytes))}`, 'Transfer-Encoding: chunked'))
    connection.write(`${bytes.length.toString(16)}\r\n${bytes}\r\n`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    connection.destroy()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await isThere(digestOf(bytes))).toBe(false)
  })

  test('an announced length beyond the limit is refused before a byte of it is read', async () => {
    const connection = connectRaw(server.url)
    connection.write(head('PUT', `${P}/objects/${digestOf('x')}`, `Content-Length: ${OBJECT_LIMIT + 1}`))
    const { status, reason, body } = await connection.answer()
    expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([413, 'BODY_TOO_LARGE'])
    expect(reason).toContain('larger than')
    connection.destroy()
  })

  test('a chunked body beyond the limit is refused while it comes', async () => {
    const connection = connectRaw(server.url)
    connection.write(head('PUT', `${P}/objects/${digestOf('x')}`, 'Transfer-Encoding: chunked'))
    const chunk = Buffer.concat([Buffer.from('40000\r\n'), Buffer.alloc(0x40000), Buffer.from('\r\n')])
    for (let sent = 0; sent <= OBJECT_LIMIT; sent += 0x40000) connection.write(chunk)
    expect((await connection.answer()).status).toBe(413)
    connection.destroy()
  })

  test('a body that stalls is given up with 408', async () => {
    const connection = connectRaw(server.url)
    connection.write(head('PUT', `${P}/objects/${digestOf('x')}`, 'Content-Length: 1000'))
    connection.write('some bytes and then nothing')
    const { status, body } = await connection.answer()
    expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([408, 'BODY_STALLED'])
    await connection.closed
  })

  test('who may not write is told before the body, and is not listened to for long', async () => {
    const connection = connectRaw(server.url)
    const token = await server.token(['read'])
    connection.write(head('PUT', `${P}/objects/${digestOf('x')}`, 'Content-Length: 1000000').replace(server.adminToken, token))
    expect((await connection.answer()).status).toBe(403)
    await connection.closed
  })

  test('a sender that asks first is invited only when it may send', async () => {
    const bytes = 'invited'
    const welcome = connectRaw(server.url)
    welcome.write(head('PUT', `${P}/objects/${digestOf(bytes)}`, `Content-Length: ${bytes.length}`, 'Expect: 100-continue'))
    expect((await welcome.answer()).status).toBe(100)
    welcome.write(bytes)
    expect((await welcome.answer()).status).toBe(201)
    welcome.destroy()
    const refused = connectRaw(server.url)
    refused.write(head('PUT', `${P}/objects/nonsense`, 'Content-Length: 10', 'Expect: 100-continue'))
    expect((await refused.answer()).status).toBe(400)
    await refused.closed
  })

  test('an answer is read by a sender that goes on sending', async () => {
    await server.ask('PUT', `${P}/objects/${digestOf('known')}`, { body: 'known' })
    const connection = connectRaw(server.url)
    connection.write(head('POST', `/dvc/demo/${objectPath(digestOf('known'))}`, 'Transfer-Encoding: chunked'))
    connection.write('10000\r\n')
    connection.write(Buffer.alloc(0x8000))
    expect((await connection.answer()).status).toBe(200)
    connection.write(Buffer.alloc(0x1000))
    await connection.closed
  })
})

describe('trees', () => {
  const entry = (relpath: string) => JSON.stringify([{ md5: digestOf('x'), relpath }])
  const unsafe = [
    '../up',
    'a/../../up',
    '/etc/passwd',
    'a//b',
    './a',
    'C:\\x',
    'a\0b',
    '.git/hooks/post-checkout',
    'a/.dvc/config',
    '',
  ]

  test.each(unsafe)('the path %j is refused', async (relpath) => {
    expect(await codeOf(await sendTree(entry(relpath)))).toEqual([422, 'BAD_TREE'])
  })

  test.each([
    ['no JSON', 'not a tree'],
    ['no list', '{"md5": 1}'],
    ['no md5', '[{"relpath": "a"}]'],
    ['an md5 of the wrong shape', '[{"md5": "ABC", "relpath": "a"}]'],
    ['a path twice', JSON.stringify([1, 2].map(() => ({ md5: digestOf('x'), relpath: 'a' })))],
    ['a file below a file', JSON.stringify(['a', 'a/b'].map((relpath) => ({ md5: digestOf('x'), relpath })))],
    ['no UTF-8 list', '\ud800'],
  ])('%s is refused', async (_name, text) => {
    expect(await codeOf(await sendTree(text, digestOf(Buffer.from(text), { tree: true })))).toEqual([422, 'BAD_TREE'])
  })

  test('a tree under another name is refused', async () => {
    expect(await codeOf(await sendTree('[]', digestOf('[1]', { tree: true })))).toEqual([422, 'DIGEST_MISMATCH'])
  })

  test('a gzip bomb is refused at the limit of what it grows to', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '))
    const send = (body: Uint8Array) =>
      server.ask('POST', `${P}/trees?digest=${digestOf('x', { tree: true })}`, { body, headers: { 'Content-Encoding': 'gzip' } })
    expect(await codeOf(await send(bomb))).toEqual([413, 'BODY_TOO_LARGE'])
    expect(await codeOf(await send(randomBytes(1000)))).toEqual([400, 'BAD_REQUEST'])
    expect(await codeOf(await send(gzipSync('[]').subarray(0, 12)))).toEqual([400, 'BAD_REQUEST'])
  })

  test('an unknown content encoding is refused', async () => {
    const answer = await server.ask('POST', `${P}/trees?digest=${digestOf('[]', { tree: true })}`, {
      body: '[]',
      headers: { 'Content-Encoding': 'br' },
    })
    expect(answer.status).toBe(400)
  })
})

describe('packs', () => {
  const good = packOf([{ bytes: 'pack member one' }, { bytes: 'pack member two' }])
  const flipped = (at: number) => {
    const bytes = Buffer.from(good)
    bytes[at] = (bytes[at] ?? 0) ^ 0x40
    return bytes
  }
  const oversized = () => {
    const bytes = Buffer.from(good)
    bytes.writeUInt32LE(MAX_MEMBER_BYTES + 1, PACK_MAGIC.length + 4)
    return bytes
  }

  test.each([
    ['nothing', new Uint8Array()],
    ['noise', randomBytes(1000)],
    ['a wrong magic', flipped(0)],
    ['an unknown tag', flipped(PACK_MAGIC.length)],
    ['an unknown kind', flipped(PACK_MAGIC.length + 1)],
    ['a member that is too large', oversized()],
    ['no end', good.subarray(0, -40)],
    ['half a member', good.subarray(0, 40)],
    ['an index that lies', flipped(good.length - 30)],
    ['bytes after the end', Buffer.concat([good, Buffer.from('x')])],
  ])('%s is no pack, and nothing of it is stored', async (_name, bytes) => {
    const before = await blobCount()
    expect(await codeOf(await sendPack(bytes))).toEqual([422, 'BAD_PACK'])
    expect(await isThere(digestOf('pack member one'))).toBe(false)
    expect(await blobCount()).toBe(before)
  })
})

describe('questions', () => {
  test('too many digests at once are refused', async () => {
    const length = (MAX_DIGESTS + 1) * PACKED_DIGEST_BYTES
    const answer = await server.ask('POST', `${P}/objects/missing`, {
      body: new Uint8Array(length),
      headers: { 'Content-Type': DIGESTS_TYPE },
    })
    expect(await codeOf(answer)).toEqual([413, 'BODY_TOO_LARGE'])
    const many = Array.from({ length: 65_537 }, (_, at) => makeDigest(at.toString(16).padStart(32, '0')))
    const fetched = await server.ask('POST', `${P}/objects/fetch`, {
      body: packDigests(many),
      headers: { 'Content-Type': DIGESTS_TYPE },
    })
    expect(await codeOf(fetched)).toEqual([400, 'BAD_REQUEST'])
  })

  test('half a digest, an unknown kind and no digest are refused', async () => {
    const ask = (body: Uint8Array) =>
      server.ask('POST', `${P}/objects/missing`, { body, headers: { 'Content-Type': DIGESTS_TYPE } })
    expect(await codeOf(await ask(new Uint8Array(16)))).toEqual([400, 'BAD_DIGEST'])
    expect(await codeOf(await ask(new Uint8Array(17).fill(9)))).toEqual([400, 'BAD_DIGEST'])
    expect(await codeOf(await server.ask('GET', `${P}/objects/nonsense`))).toEqual([400, 'BAD_DIGEST'])
    expect(await codeOf(await server.ask('POST', `${P}/objects/missing`, { json: { digests: ['../../etc'] } }))).toEqual([
      400,
      'BAD_REQUEST',
    ])
  })

  test('a session of another project is unknown', async () => {
    await server.createProject('elsewhere')
    const { session } = (await (
      await server.ask('POST', '/api/v1/projects/elsewhere/objects/missing', { json: { digests: [] } })
    ).json()) as { session: string }
    expect(await codeOf(await server.ask('POST', `${P}/objects/missing?session=${session}`, { json: { digests: [] } }))).toEqual([
      404,
      'SESSION_UNKNOWN',
    ])
    expect(await codeOf(await server.ask('POST', `${P}/sessions/${session}/commit`, { json: { roots: [] } }))).toEqual([
      404,
      'SESSION_UNKNOWN',
    ])
    expect(await codeOf(await server.ask('POST', `${P}/sessions/nonsense/commit`, { json: { roots: [] } }))).toEqual([
      404,
      'SESSION_UNKNOWN',
    ])
  })

  test('malformed JSON, wrong shapes and bad names are told apart from bugs', async () => {
    const wrong: Array<[string, string, object]> = [
      ['POST', '/api/v1/tokens', { body: '{' }],
      ['POST', '/api/v1/tokens', { json: { name: '', scopes: ['read'], projects: null, expiresIn: null } }],
      ['POST', '/api/v1/tokens', { json: { name: 'x', scopes: ['everything'], projects: null, expiresIn: null } }],
      ['POST', '/api/v1/tokens', { json: { name: 'x', scopes: ['read'], projects: null, expiresIn: -1 } }],
      ['POST', '/api/v1/projects', { json: { slug: '../x' } }],
      ['POST', '/api/v1/projects', { json: { slug: 'X' } }],
      ['POST', '/api/v1/jobs', { json: { type: 'format-disk' } }],
      ['GET', '/api/v1/audit?limit=-1', {}],
      ['POST', `${P}/trees`, { body: '[]' }],
      ['POST', `${P}/objects/missing?session=nonsense`, { json: { digests: [] } }],
    ]
    for (const [method, path, ask] of wrong)
      expect([path, ...(await codeOf(await server.ask(method, path, ask)))]).toEqual([path, 400, 'BAD_REQUEST'])
  })

  test('paths that are none are 404, and a path that cannot be read is 400', async () => {
    expect((await server.ask('GET', '/nowhere')).status).toBe(404)
    expect((await server.ask('GET', '/dvc/demo/files/md5/../../../etc/passwd')).status).toBe(404)
    expect((await server.ask('GET', '/dvc/demo/files/md5/%2e%2e/%2e%2e/x')).status).toBe(404)
    expect((await server.ask('GET', `/dvc/demo/%zz`)).status).toBe(400)
    expect((await server.ask('DELETE', `/dvc/demo/${objectPath(digestOf('known'))}`)).status).toBe(404)
  })

  test('the head of an answer cannot be split by what was asked', async () => {
    const connection = connectRaw(server.url)
    connection.write(head('GET', '/api/v1/projects/a%0d%0aX-Evil:1', 'Connection: close'))
    const answer = await connection.answer()
    expect(answer.status).toBe(404)
    expect(answer.head).not.toMatch(/^x-evil/im)
  })
})
