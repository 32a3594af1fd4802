import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, md5Of, unpackDigests } from '@cairn/protocol/digest'
import { DIGESTS_TYPE, TREE_DELTA_TYPE } from '@cairn/protocol/limits'
import { parseTree } from '@cairn/protocol/tree'
import { applyTreeDelta } from '@cairn/protocol/tree-delta'
import { encodeTreeDelta } from '@cairn/protocol/tree-difference'
import { packIds } from '../../server/src/adapters/postgres/id-list.ts'
import { TYPES } from '../../server/src/adapters/postgres/pool.ts'
import { digestOf, packOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'

const P = '/api/v1/projects/demo'
let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
  await server.createProject('other')
})
afterAll(() => server.stop())

interface Tree {
  bytes: Uint8Array
  digest: Digest
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve()
  yield bytes
}
const deltaOf = async (base: Tree, tree: Tree) => {
  const delta = await encodeTreeDelta(once(base.bytes), once(tree.bytes), 1 << 20)
  if (!delta) throw new Error('no delta')
  return Buffer.from(delta)
}

const put = async (text: string, project = 'demo'): Promise<Digest> => {
  const digest = digestOf(text)
  await server.ask('PUT', `/api/v1/projects/${project}/objects/${digest}`, { body: text })
  return digest
}
const filesOf = async (name: string, count: number): Promise<Record<string, Digest>> => {
  const texts = Array.from({ length: count }, (_, index) => `${name} ${index}`)
  const answer = await server.ask('POST', `${P}/packs`, { body: packOf(texts.map((bytes) => ({ bytes }))) })
  expect(await answer.json()).toMatchObject({ refused: [] })
  return Object.fromEntries(texts.map((text, index) => [`f${index}`, digestOf(text)]))
}
const send = (digest: Digest, body: Uint8Array, query = '', headers: Record<string, string> = {}, base = P) =>
  server.ask('POST', `${base}/trees?digest=${digest}${query}`, { body, headers })
const sendDelta = (digest: Digest, base: Digest, delta: Uint8Array, project = P) =>
  send(digest, delta, `&base=${base}`, { 'content-type': TREE_DELTA_TYPE }, project)
const answerOf = async (response: Response): Promise<Record<string, unknown>> => ({
  status: response.status,
  ...((await response.json()) as object),
})
const stored = async (digest: Digest) => {
  const answer = await server.ask('GET', `${P}/objects/${digest}`)
  return answer.status === 200 ? Buffer.from(await answer.arrayBuffer()) : answer.status
}

/** A tree that is present, and one with one file more and one changed that are here too. */
async function twoTrees(name: string, count = 30): Promise<{ base: Tree; tree: Tree; files: Record<string, Digest> }> {
  const files = await filesOf(name, count)
  const base = treeOf(files)
  expect(await answerOf(await send(base.digest, base.bytes))).toMatchObject({ linked: true })
  const tree = treeOf({ ...files, f3: await put(`${name} changed`), 'new/file': await put(`${name} new`) })
  return { base, tree, files }
}

describe('a tree as a delta', () => {
  test('is rebuilt byte for byte and becomes present, whether the delta comes plain or as gzip', async () => {
    const { base, tree } = await twoTrees('plain')
    const delta = await deltaOf(base, tree)
    expect(delta.length).toBeLessThan(300)
    expect(await answerOf(await sendDelta(tree.digest, base.digest, delta))).toMatchObject({
      status: 200,
      linked: true,
      missing: [],
    })
    expect(await stored(tree.digest)).toEqual(Buffer.from(tree.bytes))

    const third = treeOf({ a: await put('plain 0') })
    const packed = gzipSync(await deltaOf(tree, third))
    const headers = { 'content-type': TREE_DELTA_TYPE, 'content-encoding': 'gzip' }
    expect(await answerOf(await send(third.digest, packed, `&base=${tree.digest}`, headers))).toMatchObject({ linked: true })
    expect(await stored(third.digest)).toEqual(Buffer.from(third.bytes))
  })

  test('waits for its missing entries as a whole one does, and the commit links it', async () => {
    const { base, files } = await twoTrees('waits')
    const tree = treeOf({ ...files, z: digestOf('waits for me'), y: digestOf('waits for me too') })
    const answer = await answerOf(await sendDelta(tree.digest, base.digest, await deltaOf(base, tree)))
    expect(answer).toMatchObject({ linked: false, missing: [digestOf('waits for me too'), digestOf('waits for me')] })
    expect(await stored(tree.digest)).toBe(404)
    const commit = () =>
      server.ask('POST', `${P}/sessions/${String(answer['session'])}/commit`, { json: { roots: [tree.digest] } })
    await put('waits for me')
    expect(await answerOf(await commit())).toMatchObject({
      code: 'TREE_INCOMPLETE',
      data: { missing: [digestOf('waits for me too')] },
    })
    await put('waits for me too')
    expect(await answerOf(await commit())).toMatchObject({ linked: [tree.digest] })
    expect(await stored(tree.digest)).toEqual(Buffer.from(tree.bytes))
  })

  test('against a base that is unknown, foreign, pending or no tree is refused, each in the same words', async () => {
    const { base, tree, files } = await twoTrees('bases')
    const delta = await deltaOf(base, tree)
    const foreign = treeOf({ secret: await put('foreign file', 'other') })
    await send(foreign.digest, foreign.bytes, '', {}, '/api/v1/projects/other')
    const pending = treeOf({ waiting: digestOf('never sent') })
    expect(await answerOf(await send(pending.digest, pending.bytes))).toMatchObject({ linked: false })
    const unknown = digestOf('nothing', { tree: true })
    for (const [digest, bytes] of [
      [unknown, delta],
      [foreign.digest, await deltaOf(foreign, tree)],
      [pending.digest, await deltaOf(pending, tree)],
      [Object.values(files)[0] ?? unknown, delta],
    ] as const) {
      const { status, code, message } = await answerOf(await sendDelta(tree.digest, digest, bytes))
      expect({ status, code, message }).toEqual({
        status: 409,
        code: 'BASE_UNKNOWN',
        message: `${digest}: the project has no such tree to build on`,
      })
    }
    expect(await stored(tree.digest)).toBe(404)
  })

  test('that makes other bytes than its digest says is refused, and nothing of it stays', async () => {
    const { base, tree } = await twoTrees('wrong')
    const other = treeOf({ only: await put('wrong only') })
    const delta = await deltaOf(base, tree)
    const blobs = blobCount()
    expect(await answerOf(await sendDelta(other.digest, base.digest, delta))).toMatchObject({
      status: 422,
      code: 'DIGEST_MISMATCH',
    })
    const damaged = Buffer.from(delta)
    damaged[delta.indexOf('"md5"')] = 0
    expect(await answerOf(await sendDelta(tree.digest, base.digest, damaged))).toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(await answerOf(await sendDelta(tree.digest, base.digest, delta.subarray(0, delta.length - 1)))).toMatchObject({
      status: 422,
      code: expect.stringMatching(/BAD_DELTA|DIGEST_MISMATCH/) as string,
    })
    expect(await answerOf(await sendDelta(tree.digest, base.digest, Buffer.from('no delta')))).toMatchObject({
      code: 'BAD_DELTA',
    })
    expect(await answerOf(await sendDelta(tree.digest, base.digest, Buffer.alloc(0)))).toMatchObject({ code: 'BAD_DELTA' })
    const far = Buffer.concat([Buffer.from('CAIRNTD1'), Buffer.from([0, 255, 255, 127, 0])])
    expect(await answerOf(await sendDelta(tree.digest, base.digest, far))).toMatchObject({ code: 'BAD_DELTA' })
    const huge = Buffer.concat([Buffer.from('CAIRNTD1'), Buffer.from([0, 255, 255, 255, 255, 127, 0])])
    expect(await answerOf(await sendDelta(tree.digest, base.digest, huge))).toMatchObject({ code: 'BODY_TOO_LARGE' })
    expect(blobCount()).toBe(blobs)
    expect(await stored(tree.digest)).toBe(404)
    expect(await answerOf(await sendDelta(tree.digest, base.digest, delta))).toMatchObject({ linked: true })
  })

  test('that rebuilds to a bad tree is refused for the tree', async () => {
    const { base } = await twoTrees('bad')
    const text = Buffer.from(`[{"md5": "${'0'.repeat(32)}", "relpath": "../up"}]`)
    const bad = { bytes: text, digest: digestOf(text, { tree: true }) }
    const blobs = blobCount()
    expect(await answerOf(await sendDelta(bad.digest, base.digest, await deltaOf(base, bad)))).toMatchObject({
      status: 422,
      code: 'BAD_TREE',
    })
    expect(blobCount()).toBe(blobs)
  })

  test('may be longer than the tree, and may come twice at once', async () => {
    const { base, tree } = await twoTrees('twice')
    const whole = Buffer.concat([Buffer.from('CAIRNTD1'), Buffer.from([0, 0]), varint(tree.bytes.length), tree.bytes])
    const answers = await Promise.all(
      [whole, whole, await deltaOf(base, tree)].map(async (delta) => answerOf(await sendDelta(tree.digest, base.digest, delta))),
    )
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, linked: true })
    expect(await stored(tree.digest)).toEqual(Buffer.from(tree.bytes))
  })

  test('against a damaged base is answered as if there were none', async () => {
    const { base, tree } = await twoTrees('damage', 300)
    await corrupt(base.digest)
    const delta = await deltaOf(base, tree)
    expect(await answerOf(await sendDelta(tree.digest, base.digest, delta))).toMatchObject({
      code: expect.stringMatching(/BASE_UNKNOWN|DIGEST_MISMATCH/) as string,
    })
    expect(await answerOf(await send(tree.digest, tree.bytes))).toMatchObject({ linked: true })
  })
})

describe('a change of a tree', () => {
  /** What the server wrote down of a tree. */
  const record = async (digest: Digest) => {
    const client = new pg.Client({ ...server.poolConfig, types: TYPES })
    await client.connect()
    const { rows } = await client.query<{
      entries: number
      bytes: number
      members: string
      lacking: Buffer | null
      broken: boolean
    }>(
      `select t.entries, t.bytes, encode(t.members, 'hex') as members, t.lacking, t.broken from tree t join object o on o.id = t.object_id
       where o.md5 = $1 and o.project_id = (select id from project where slug = 'demo')`,
      [md5Of(digest)],
    )
    await client.end()
    return rows[0]
  }
  const commit = (session: unknown, ...roots: Digest[]) =>
    server.ask('POST', `${P}/sessions/${String(session)}/commit`, { json: { roots } })
  const rowId = async (digest: Digest) => {
    const project = await server.parts.stores.catalog.findProject('demo')
    const [row] = await server.parts.stores.catalog.findObjects(project?.id ?? 0, [digest])
    return { project: project?.id ?? 0, id: row?.id ?? 0 }
  }
  const damage = async (digest: Digest) => {
    const { project, id } = await rowId(digest)
    await server.parts.stores.catalog.markDamaged(project, [id])
  }

  test('is written down as if it had come whole, whatever changed and however often a file is named', async () => {
    const words = Array.from({ length: 12 }, (_, index) => `${'change '.repeat(index + 1)}${index}`)
    const known = await Promise.all(words.slice(0, 8).map((word) => put(word)))
    const all = words.map((word) => digestOf(word))
    const list = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-f]{1,2}$/), fc.nat(all.length - 1)), {
      selector: ([name]) => name,
      maxLength: 25,
    })
    await fc.assert(
      fc.asyncProperty(list, list, fc.uuid(), async (before, after, salt) => {
        const whole = Object.fromEntries(before.map(([name, at]) => [name, known[at % known.length] as Digest]))
        const base = treeOf({ ...whole, [`salt-${salt}`]: known[0] as Digest })
        expect(await answerOf(await send(base.digest, base.bytes))).toMatchObject({ linked: true })
        const tree = treeOf({
          ...Object.fromEntries(after.map(([name, at]) => [name, all[at] as Digest])),
          [`salt-2-${salt}`]: known[1] as Digest,
        })
        const answer = await answerOf(await sendDelta(tree.digest, base.digest, await deltaOf(base, tree)))
        const lacks = (answer['missing'] as Digest[]).map((digest) => words[all.indexOf(digest)] ?? '')
        expect(new Set(lacks)).toEqual(new Set(after.filter(([, at]) => at >= known.length).map(([, at]) => words[at])))
        expect(answer['linked']).toBe(lacks.length === 0)
        if (lacks.length > 0) {
          expect((await record(tree.digest))?.lacking).not.toBeNull()
          expect(await answerOf(await commit(answer['session'], tree.digest))).toMatchObject({
            code: 'TREE_INCOMPLETE',
            data: { missing: answer['missing'] },
          })
          for (const word of lacks) await put(word)
          expect(await answerOf(await commit(answer['session'], tree.digest))).toMatchObject({ linked: [tree.digest] })
        }
        const { project } = await rowId(tree.digest)
        const md5s = Buffer.concat(parseTree(tree.bytes).map((entry) => Buffer.from(md5Of(entry.digest), 'hex')))
        const found = await server.parts.stores.catalog.findMembers(project, { md5s, legacy: false })
        expect(await record(tree.digest)).toEqual({
          entries: parseTree(tree.bytes).length,
          bytes: found.bytes,
          members: packIds(found.present).toString('hex'),
          lacking: null,
          broken: false,
        })
        // Unknown again, for the next round.
        await forget(all.slice(known.length))
      }),
      { numRuns: 12 },
    )
  })

  test('waits no less than the whole when a file of it is damaged before the commit', async () => {
    const { base, files } = await twoTrees('held')
    const tree = treeOf({ ...files, late: digestOf('held late') })
    const answer = await answerOf(await sendDelta(tree.digest, base.digest, await deltaOf(base, tree)))
    expect(answer).toMatchObject({ linked: false, missing: [digestOf('held late')] })
    await put('held late')
    await damage(files['f7'] as Digest)
    expect(await answerOf(await commit(answer['session'], tree.digest))).toMatchObject({
      code: 'TREE_INCOMPLETE',
      data: { missing: [files['f7']] },
    })
    expect(await stored(tree.digest)).toBe(404)
    await put('held 7')
    expect(await answerOf(await commit(answer['session'], tree.digest))).toMatchObject({ linked: [tree.digest] })
    expect(await record(tree.digest)).toMatchObject({ broken: false, lacking: null })
  })

  test('of a base that lost a file is looked at in full', async () => {
    const { base, files } = await twoTrees('lost')
    await damage(files['f7'] as Digest)
    const tree = treeOf({ ...files, more: await put('lost more') })
    const answer = await answerOf(await sendDelta(tree.digest, base.digest, await deltaOf(base, tree)))
    expect(answer).toMatchObject({ linked: false, missing: [files['f7']] })
    const without = treeOf(Object.fromEntries(Object.entries(files).filter(([name]) => name !== 'f7')))
    expect(await answerOf(await sendDelta(without.digest, base.digest, await deltaOf(base, without)))).toMatchObject({
      linked: true,
    })
  })

  test('that waits is in no answer a present tree, and cannot be a base', async () => {
    const { base, files } = await twoTrees('invisible')
    const tree = treeOf({ ...files, never: digestOf('invisible never') })
    expect(await answerOf(await sendDelta(tree.digest, base.digest, await deltaOf(base, tree)))).toMatchObject({ linked: false })
    const asked = await server.ask('POST', `${P}/objects/missing`, { json: { digests: [tree.digest, base.digest] } })
    expect(await asked.json()).toMatchObject({ missing: [tree.digest] })
    const next = treeOf({ ...files, other: await put('invisible other') })
    expect(await answerOf(await sendDelta(next.digest, tree.digest, await deltaOf(tree, next)))).toMatchObject({
      code: 'BASE_UNKNOWN',
    })
  })
})

async function forget(digests: readonly Digest[]): Promise<void> {
  const client = new pg.Client({ ...server.poolConfig, types: TYPES })
  await client.connect()
  await client.query(`delete from object where kind = 0 and md5 = any ($1::uuid[])`, [digests.map(md5Of)])
  await client.end()
}

describe('what a tree lacks', () => {
  test('comes packed when asked for so, each once and in the order of the tree', async () => {
    const names = Array.from({ length: 300 }, (_, index) => `lacking ${index % 200}`)
    const tree = treeOf(Object.fromEntries(names.map((name, index) => [`f${String(index).padStart(3, '0')}`, digestOf(name)])))
    const answer = await send(tree.digest, tree.bytes, '', { accept: DIGESTS_TYPE })
    expect(answer.headers.get('content-type')).toBe(DIGESTS_TYPE)
    expect(answer.headers.get('cairn-session')).toMatch(/^[0-9a-f-]{36}$/)
    expect(answer.headers.get('cairn-linked')).toBe('false')
    expect(unpackDigests(new Uint8Array(await answer.arrayBuffer()))).toEqual(names.slice(0, 200).map((name) => digestOf(name)))
  })

  test('of a legacy tree are legacy files', async () => {
    const file = digestOf('legacy lacking', { legacy: true })
    const tree = treeOf({ old: file })
    expect(await answerOf(await send(tree.digest, tree.bytes))).toMatchObject({ linked: false, missing: [file] })
  })

  test('is known of a tree of many thousand entries, with files that come often', async () => {
    const files = Object.values(await filesOf('often', 50))
    const tree = treeOf(
      Object.fromEntries(
        Array.from({ length: 45_000 }, (_, index) => [`d${index % 300}/f${index}`, files[index % 50] as Digest]),
      ),
    )
    expect(await answerOf(await send(tree.digest, gzipSync(tree.bytes), '', { 'content-encoding': 'gzip' }))).toMatchObject({
      linked: true,
    })
    const one = treeOf({
      ...Object.fromEntries(
        Array.from({ length: 45_000 }, (_, index) => [`d${index % 300}/f${index}`, files[index % 50] as Digest]),
      ),
      z: digestOf('the only one missing'),
    })
    const delta = await deltaOf(tree, one)
    expect(delta.length).toBeLessThan(200)
    expect(await answerOf(await sendDelta(one.digest, tree.digest, delta))).toMatchObject({
      linked: false,
      missing: [digestOf('the only one missing')],
    })
  })

  test('is found in a tree that is not sorted, which is checked all the same', async () => {
    const [a, b] = [await put('unsorted a'), await put('unsorted b')]
    const treeFrom = (paths: string[]) => {
      const bytes = Buffer.from(JSON.stringify(paths.map((relpath, index) => ({ relpath, md5: index % 2 ? a : b }))))
      return { bytes, digest: digestOf(bytes, { tree: true }) }
    }
    const good = treeFrom(['b', 'a', 'c/d'])
    expect(await answerOf(await send(good.digest, good.bytes))).toMatchObject({ linked: true })
    const blobs = blobCount()
    for (const paths of [
      ['b', 'a', 'b'],
      ['b/c', 'b', 'a'],
      ['c', 'a/b', 'a'],
    ]) {
      const bad = treeFrom(paths)
      expect(await answerOf(await send(bad.digest, bad.bytes))).toMatchObject({ status: 422, code: 'BAD_TREE' })
    }
    expect(blobCount()).toBe(blobs)
  })
})

describe('a tree for a reader', () => {
  const get = (digest: Digest, bases: readonly Digest[] = [], project = 'demo', headers: Record<string, string> = {}) =>
    server.ask('GET', `/api/v1/projects/${project}/trees/${digest}${bases.length ? `?base=${bases.join(',')}` : ''}`, { headers })

  test('comes as the difference to the first tree that both have', async () => {
    const { base, tree } = await twoTrees('reader')
    await send(tree.digest, tree.bytes)
    const answer = await get(tree.digest, [digestOf('nothing', { tree: true }), base.digest])
    expect(answer.headers.get('content-type')).toBe(TREE_DELTA_TYPE)
    expect(answer.headers.get('cairn-base')).toBe(base.digest)
    const delta = Buffer.from(await answer.arrayBuffer())
    expect(delta.length).toBeLessThan(300)
    const rebuilt: Uint8Array[] = []
    for await (const chunk of applyTreeDelta(delta, once(base.bytes), 1 << 20)) rebuilt.push(chunk)
    expect(Buffer.concat(rebuilt).equals(tree.bytes)).toBe(true)
  })

  test('comes whole without a base, and where the difference would be no shorter', async () => {
    const { base, tree } = await twoTrees('whole')
    await send(tree.digest, tree.bytes)
    const other = treeOf({ unlike: await put('whole unlike') })
    await send(other.digest, other.bytes)
    for (const bases of [[], [other.digest], [digestOf('nothing', { tree: true })]]) {
      const answer = await get(tree.digest, bases)
      expect(answer.headers.get('content-type')).toBe('application/json')
      expect(Buffer.from(await answer.arrayBuffer()).equals(tree.bytes)).toBe(true)
    }
    const plain = await get(tree.digest, [], 'demo', { 'accept-encoding': 'identity' })
    expect(plain.headers.get('content-encoding')).toBeNull()
    expect(Buffer.from(await plain.arrayBuffer()).equals(tree.bytes)).toBe(true)
    const raw = await rawGet(`${server.url}${P}/trees/${tree.digest}`)
    expect(gunzipSync(raw).equals(tree.bytes)).toBe(true)
    expect(raw.length).toBeLessThan(tree.bytes.length)
    expect((await get(tree.digest, [base.digest])).headers.get('content-type')).toBe(TREE_DELTA_TYPE)
  })

  test('is unknown in another project, as is a base there', async () => {
    const { base, tree } = await twoTrees('foreign')
    await send(tree.digest, tree.bytes)
    expect((await get(tree.digest, [base.digest], 'other')).status).toBe(404)
    const mine = treeOf({ mine: await put('mine', 'other') })
    await send(mine.digest, mine.bytes, '', {}, '/api/v1/projects/other')
    const answer = await get(mine.digest, [base.digest], 'other')
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect((await get(digestOf('foreign 0'), [])).status).toBe(400)
    expect((await get(tree.digest, Array<Digest>(17).fill(base.digest))).status).toBe(400)
  })

  test('is read with the scope to read, and sent with the scope to write', async () => {
    const { base, tree } = await twoTrees('scopes')
    const reader = await server.token(['read'], ['demo'])
    const delta = await deltaOf(base, tree)
    const refused = await server.ask('POST', `${P}/trees?digest=${tree.digest}&base=${base.digest}`, {
      body: delta,
      token: reader,
    })
    expect(refused.status).toBe(403)
    expect((await server.ask('GET', `${P}/trees/${base.digest}`, { token: reader })).status).toBe(200)
    expect((await server.ask('GET', `${P}/trees/${base.digest}`, { token: null })).status).toBe(401)
  })
})

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest > 127 ? (rest % 128) | 128 : rest)
    if (rest <= 127) return Buffer.from(bytes)
  }
}

const blobCount = (): number =>
  readdirSync(path.join(server.blobDir, 'blobs'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .length

async function corrupt(digest: Digest): Promise<void> {
  const project = await server.parts.stores.catalog.findProject('demo')
  const [row] = await server.parts.stores.catalog.findObjects(project?.id ?? 0, [digest])
  await writeFile(
    `${server.blobDir}/blobs/${row?.key}`,
    createHash('sha512')
      .update('x')
      .digest('hex')
      .repeat(1000)
      .slice(0, row?.size ?? 0),
  )
}

/** As it travels: fetch inflates by itself. */
async function rawGet(url: string): Promise<Buffer> {
  const http = await import('node:http')
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${server.adminToken}`, 'accept-encoding': 'gzip' }
    const request = http.get(url, { headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
    })
    request.on('error', reject)
  })
}
