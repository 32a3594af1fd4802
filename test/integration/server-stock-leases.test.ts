import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, objectPath } from '@cairn/protocol/digest'
import { digestOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'
import { unpackIds } from '../../server/src/adapters/postgres/id-list.ts'

let server: TestServer
let client: pg.Client

beforeAll(async () => {
  server = await startTestServer()
  client = new pg.Client(server.poolConfig)
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await server.stop()
})

const at = (digest: Digest) => `/dvc/demo/${objectPath(digest)}`
const upload = (bytes: string | Uint8Array, digest = digestOf(bytes)) => server.ask('POST', at(digest), { body: bytes })
const idOf = async (digest: Digest): Promise<number> => {
  const { catalog } = server.parts.stores
  const project = (await catalog.findProject('demo'))?.id ?? 0
  return (await catalog.findObjects(project, [digest]))[0]?.id ?? 0
}
/** Sessions that stand for a day or more, each with what it holds. */
const held = async () => {
  const { rows } = await client.query<{ id: string; objects: Buffer }>(
    `select s.id, l.objects from session s join lease l on l.session_id = s.id where s.expires_at >= now() + interval '24 hours'`,
  )
  return { sessions: new Set(rows.map(({ id }) => id)).size, ids: rows.flatMap(({ objects }) => [...unpackIds(objects)]) }
}

describe('what a stock client was told is present', () => {
  test('stays for a day, in one session an hour and token, written down once', async () => {
    const texts = Array.from({ length: 30 }, (_, index) => `held ${index}`)
    await Promise.all(texts.map((text) => upload(text)))
    const tree = treeOf(Object.fromEntries(texts.map((text, index) => [`f${index}`, digestOf(text)])))
    expect((await upload(tree.bytes, tree.digest)).status).toBe(201)
    expect((await held()).ids).toEqual([])

    const token = await server.token(['read', 'write'])
    const ask = (method: string, digest: Digest) => server.ask(method, at(digest), { token })
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all([...texts.map((text) => ask('GET', digestOf(text))), ask('HEAD', tree.digest)])
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    }
    const wanted = [...(await Promise.all(texts.map((text) => idOf(digestOf(text))))), await idOf(tree.digest)]
    const now = await held()
    expect([now.sessions, now.ids.toSorted((a, b) => a - b)]).toEqual([1, wanted.toSorted((a, b) => a - b)])
  })

  test('also when it was about to send it, and not for who may only read', async () => {
    await upload('sent twice')
    const { ids } = await held()
    const token = await server.token(['read'])
    expect((await server.ask('GET', at(digestOf('sent twice')), { token })).status).toBe(200)
    expect((await held()).ids).toHaveLength(ids.length)
    expect((await upload('sent twice')).status).toBe(200)
    expect((await held()).ids).toContain(await idOf(digestOf('sent twice')))
  })

  test('a session that was lost is opened anew', async () => {
    const token = await server.token(['write', 'read'])
    await upload('before')
    await upload('after')
    expect((await server.ask('GET', at(digestOf('before')), { token })).status).toBe(200)
    await client.query('delete from session')
    expect((await server.ask('GET', at(digestOf('after')), { token })).status).toBe(200)
    expect((await held()).ids).toEqual([await idOf(digestOf('after'))])
  })
})
