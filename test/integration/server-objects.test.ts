import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DIGESTS_TYPE, PACK_TYPE } from '@cairn/protocol/api'
import { type Digest, packDigests, unpackDigests } from '@cairn/protocol/digest'
import { type PackRecord, readPack } from '@cairn/protocol/pack'
import { digestOf, packOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'

const P = '/api/v1/projects/demo'
let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const put = (bytes: Uint8Array | string, digest = digestOf(bytes)) => server.ask('PUT', `${P}/objects/${digest}`, { body: bytes })
const get = (digest: Digest, headers: Record<string, string> = {}) => server.ask('GET', `${P}/objects/${digest}`, { headers })
const missing = async (digests: Digest[]) => {
  const answer = await server.ask('POST', `${P}/objects/missing`, { json: { digests } })
  return (await answer.json()) as { session: string; missing: Digest[] }
}
const sendPack = (pack: Uint8Array, session?: string) =>
  server.ask('POST', `${P}/packs${session ? `?session=${session}` : ''}`, { body: pack, headers: { 'Content-Type': PACK_TYPE } })
const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer())

async function recordsOf(answer: Response): Promise<PackRecord[]> {
  const records: PackRecord[] = []
  if (!answer.body) return records
  for await (const record of readPack(answer.body)) records.push(record)
  return records
}

async function waitForDamage(digest: Digest): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const { damaged } = (await (await server.ask('GET', `${P}/damaged`)).json()) as { damaged: Array<{ digest: Digest }> }
    if (damaged.some((row) => row.digest === digest)) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${digest} was not marked`)
}

describe('single objects', () => {
  test('an object comes back byte for byte, whole and in ranges', async () => {
    const bytes = randomBytes(300_000)
    const digest = digestOf(bytes)
    const stored = await put(bytes)
    expect(stored.status).toBe(201)
    expect(await stored.json()).toEqual({ digest, size: 300_000, outcome: 'stored' })
    const whole = await get(digest)
    expect(whole.status).toBe(200)
    expect(whole.headers.get('content-length')).toBe('300000')
    expect(whole.headers.get('etag')).toBe(`"${digest}"`)
    expect(whole.headers.get('accept-ranges')).toBe('bytes')
    expect(bytes.equals(await bytesOf(whole))).toBe(true)
    const part = await get(digest, { Range: 'bytes=100-199' })
    expect(part.status).toBe(206)
    expect(part.headers.get('content-range')).toBe('bytes 100-199/300000')
    expect(await bytesOf(part)).toEqual(bytes.subarray(100, 200))
    expect(await bytesOf(await get(digest, { Range: 'bytes=-10' }))).toEqual(bytes.subarray(-10))
    expect(await bytesOf(await get(digest, { Range: 'bytes=299990-' }))).toEqual(bytes.subarray(-10))
  })

  test('a range beyond the end is answered with 416 and the size', async () => {
    const digest = digestOf('short')
    await put('short')
    const answer = await get(digest, { Range: 'bytes=5-9' })
    expect(answer.status).toBe(416)
    expect(answer.headers.get('content-range')).toBe('bytes */5')
  })

  test('HEAD tells the size and sends nothing', async () => {
    await put('head me')
    const answer = await server.ask('HEAD', `${P}/objects/${digestOf('head me')}`)
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '7', ''])
  })

  test('an empty object is an object', async () => {
    const digest = digestOf('')
    expect((await put('')).status).toBe(201)
    const answer = await get(digest)
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '0', ''])
  })

  test('the second upload of the same object says that it exists', async () => {
    await put('twice')
    const answer = await put('twice')
    expect([answer.status, await answer.json()]).toEqual([200, { digest: digestOf('twice'), size: 5, outcome: 'exists' }])
  })

  test('what a client holds already is not sent again', async () => {
    await put('cached')
    expect((await get(digestOf('cached'), { 'If-None-Match': `"${digestOf('cached')}"` })).status).toBe(304)
  })

  test('a legacy object may be named by its text with LF line ends', async () => {
    const digest = digestOf('a\nb\n', { legacy: true })
    expect((await put('a\r\nb\r\n', digest)).status).toBe(201)
    expect(await (await get(digest)).text()).toBe('a\r\nb\r\n')
    expect((await put('a\r\nb\r\n', digestOf('a\nb\n'))).status).toBe(422)
  })
})

describe('packs', () => {
  test('a pack stores its members, and fetch brings them back as a pack', async () => {
    const members = Array.from({ length: 300 }, (_, index) => ({ bytes: `member ${index} ${'x'.repeat(index)}` }))
    const stored = await sendPack(packOf(members))
    expect(await stored.json()).toEqual({ stored: 300, exists: 0, refused: [] })
    const unknown = digestOf('never sent')
    const wanted = [...members.map(({ bytes }) => digestOf(bytes)), unknown]
    const answer = await server.ask('POST', `${P}/objects/fetch`, {
      body: packDigests(wanted),
      headers: { 'Content-Type': DIGESTS_TYPE },
    })
    expect(answer.headers.get('content-type')).toBe(PACK_TYPE)
    const records = await recordsOf(answer)
    expect(records.filter((record) => record.type === 'absent').map((record) => record.digest)).toEqual([unknown])
    const payloads = records.flatMap((record) => (record.type === 'object' ? [Buffer.from(record.payload).toString()] : []))
    expect(payloads.toSorted()).toEqual(members.map(({ bytes }) => bytes).toSorted())
    expect(await (await get(digestOf(members[7]?.bytes ?? ''))).text()).toBe(members[7]?.bytes)
  })

  test('one wrong member is refused by itself', async () => {
    const wrong = digestOf('what it claims to be')
    const answer = await sendPack(packOf([{ bytes: 'right one' }, { bytes: 'wrong one', digest: wrong }, { bytes: 'right two' }]))
    const { stored, refused } = (await answer.json()) as { stored: number; refused: Array<{ digest: Digest; code: string }> }
    expect([stored, refused.map(({ digest, code }) => [digest, code])]).toEqual([2, [[wrong, 'DIGEST_MISMATCH']]])
    expect((await missing([digestOf('right one'), wrong, digestOf('right two')])).missing).toEqual([wrong])
  })

  test('a tree in a pack is stored when its files are, some of them in the same pack', async () => {
    await put('there before')
    const tree = treeOf({ 'a.txt': digestOf('there before'), 'b/c.txt': digestOf('in the pack') })
    const incomplete = treeOf({ x: digestOf('in no pack') })
    const members = [
      { bytes: tree.bytes, digest: tree.digest },
      { bytes: 'in the pack' },
      { bytes: incomplete.bytes, digest: incomplete.digest },
    ]
    const answer = (await (await sendPack(packOf(members))).json()) as {
      stored: number
      refused: Array<{ digest: Digest; code: string }>
    }
    expect(answer.stored).toBe(2)
    expect(answer.refused.map(({ digest, code }) => [digest, code])).toEqual([[incomplete.digest, 'TREE_INCOMPLETE']])
    expect((await missing([tree.digest, incomplete.digest])).missing).toEqual([incomplete.digest])
  })

  test('an object too large for a pack is left out of a fetch', async () => {
    const bytes = randomBytes(5 * 1024 * 1024)
    await put(bytes)
    await put('small beside it')
    const answer = await server.ask('POST', `${P}/objects/fetch`, {
      json: { digests: [digestOf(bytes), digestOf('small beside it')] },
    })
    expect((await recordsOf(answer)).map((record) => record.digest)).toEqual([digestOf('small beside it')])
  })
})

describe('trees', () => {
  test('a push in four questions: tree, files, commit, and then one question answers for all of it', async () => {
    const files = ['one', 'two', 'three'].map((text) => `tree file ${text}`)
    const tree = treeOf({ 'dir/one': digestOf(files[0] ?? ''), two: digestOf(files[1] ?? ''), three: digestOf(files[2] ?? '') })
    const first = await missing([tree.digest])
    expect(first.missing).toEqual([tree.digest])
    const sent = await server.ask('POST', `${P}/trees?digest=${tree.digest}&session=${first.session}`, {
      body: gzipSync(tree.bytes),
      headers: { 'Content-Encoding': 'gzip' },
    })
    const lacking = (await sent.json()) as { linked: boolean; missing: Digest[]; session: string }
    expect(lacking.linked).toBe(false)
    expect(lacking.session).toBe(first.session)
    expect(lacking.missing.toSorted()).toEqual(files.map((text) => digestOf(text)).toSorted())
    expect((await get(tree.digest)).status).toBe(404)
    const early = await server.ask('POST', `${P}/sessions/${first.session}/commit`, { json: { roots: [tree.digest] } })
    expect(early.status).toBe(409)
    expect(((await early.json()) as { data: { missing: Digest[] } }).data.missing.toSorted()).toEqual(lacking.missing.toSorted())
    await sendPack(packOf(files.map((bytes) => ({ bytes }))), first.session)
    const commit = () => server.ask('POST', `${P}/sessions/${first.session}/commit`, { json: { roots: [tree.digest] } })
    expect(await (await commit()).json()).toEqual({ linked: [tree.digest] })
    expect(await (await commit()).json()).toEqual({ linked: [] })
    expect((await missing([tree.digest])).missing).toEqual([])
    expect(await bytesOf(await get(tree.digest))).toEqual(Buffer.from(tree.bytes))
    const again = await server.ask('POST', `${P}/trees?digest=${tree.digest}`, { body: tree.bytes })
    expect(await again.json()).toMatchObject({ linked: true, missing: [] })
  })

  test('the tree of an empty folder is complete by itself', async () => {
    const tree = treeOf({})
    const answer = await server.ask('POST', `${P}/trees?digest=${tree.digest}`, { body: tree.bytes })
    expect(await answer.json()).toMatchObject({ linked: true, missing: [] })
  })

  test('the packed answer of a question carries its session in a header', async () => {
    const wanted = [digestOf('packed question one'), digestOf('packed question two')]
    const answer = await server.ask('POST', `${P}/objects/missing?intent=push`, {
      body: packDigests(wanted),
      headers: { 'Content-Type': DIGESTS_TYPE, Accept: DIGESTS_TYPE },
    })
    expect(answer.headers.get('cairn-session')).toMatch(/^[0-9a-f-]{36}$/)
    expect(unpackDigests(await bytesOf(answer))).toEqual(wanted)
  })
})

describe('forms', () => {
  test('a form stores its files, named by the server or by their digests', async () => {
    const form = new FormData()
    form.append('file', new Blob(['from a form']), 'notes.txt')
    form.append(digestOf('named by its field'), new Blob(['named by its field']), 'x')
    const answer = await server.ask('POST', `${P}/objects`, { body: form })
    expect(answer.status).toBe(201)
    expect(await answer.json()).toEqual({
      objects: [
        { digest: digestOf('from a form'), size: 11, outcome: 'stored' },
        { digest: digestOf('named by its field'), size: 18, outcome: 'stored' },
      ],
    })
    expect(await (await get(digestOf('from a form'))).text()).toBe('from a form')
  })

  test('a part under a digest that is not its own is refused', async () => {
    const form = new FormData()
    form.append(digestOf('something else'), new Blob(['not that']), 'x')
    expect((await server.ask('POST', `${P}/objects`, { body: form })).status).toBe(422)
    expect((await server.ask('POST', `${P}/objects`, { body: 'no form' })).status).toBe(400)
  })
})

describe('damage', () => {
  test('a read that meets damage is cut off, the object counts as missing, and the next upload repairs it', async () => {
    const { writeFile } = await import('node:fs/promises')
    const bytes = randomBytes(400_000)
    const digest = digestOf(bytes)
    await put(bytes)
    const tree = treeOf({ big: digest })
    await server.ask('POST', `${P}/trees?digest=${tree.digest}`, { body: tree.bytes })
    const [row] = await server.parts.stores.catalog.findObjects(1, [digest])
    bytes[200_000] = (bytes[200_000] ?? 0) ^ 1
    await writeFile(`${server.blobDir}/blobs/${row?.key}`, bytes)
    await expect(get(digest).then(bytesOf)).rejects.toThrow()
    await waitForDamage(digest)
    expect((await get(digest)).status).toBe(410)
    expect((await missing([digest, tree.digest])).missing).toEqual([digest, tree.digest])
    expect(
      (await server.ask('GET', '/metrics').then((answer) => answer.text())).match(/cairn_damage_found_total \d+/),
    ).not.toBeNull()
    bytes[200_000] = (bytes[200_000] ?? 0) ^ 1
    expect((await put(bytes)).status).toBe(201)
    expect((await missing([digest, tree.digest])).missing).toEqual([])
    expect(bytes.equals(await bytesOf(await get(digest)))).toBe(true)
  })
})
