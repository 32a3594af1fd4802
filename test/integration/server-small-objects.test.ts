import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import pg from 'pg'
import { type Digest, objectPath } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { COLLISION } from '../rig/collision.ts'
import { connectRaw } from '../rig/raw-http.ts'
import { digestOf, startTestServer, type TestServer } from '../rig/server.ts'

let server: TestServer
let onPut: ((key: string) => Promise<void>) | undefined
let puts: string[] = []

beforeAll(async () => {
  server = await startTestServer({
    blobs: (disk) => ({
      ...disk,
      async put(key, bytes, options) {
        puts.push(key)
        await onPut?.(key)
        return disk.put(key, bytes, options)
      },
    }),
  })
})
afterEach(() => {
  onPut = undefined
  puts = []
})
afterAll(() => server.stop())

const at = (digest: Digest) => `/dvc/demo/${objectPath(digest)}`
const upload = (bytes: string | Uint8Array, digest = digestOf(bytes)) => server.ask('POST', at(digest), { body: bytes })
const read = async (bytes: string | Uint8Array) => {
  const answer = await server.ask('GET', at(digestOf(bytes)))
  return answer.status === 200 ? Buffer.from(await answer.arrayBuffer()).toString('latin1') : answer.status
}
const texts = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix} ${index}`)
const sql = async (text: string) => {
  const client = new pg.Client(server.poolConfig)
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

/** Holds the first write until `release`, so that what comes meanwhile shares the next one. `arrived`: once `count` wait. */
async function whileOneIsWritten<T>(start: () => Array<Promise<T>>): Promise<T[]> {
  const gate = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const then = onPut
  onPut = async (key) => {
    if (puts.length > 1) return then?.(key)
    held.resolve()
    await gate.promise
  }
  const first = upload(`holds the lane ${Math.random()}`)
  await held.promise
  const others = start()
  // Bodies are read and hashed before they wait for the lane.
  await new Promise((resolve) => setTimeout(resolve, 150))
  gate.resolve()
  expect((await first).status).toBe(201)
  return Promise.all(others)
}

describe('small uploads that arrive together', () => {
  test('share one blob, and each is answered and read by itself', async () => {
    const bodies = texts('together', 20)
    const answers = await whileOneIsWritten(() => bodies.map((text) => upload(text)))
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 201))
    expect(puts).toHaveLength(2)
    expect(await Promise.all(bodies.map(read))).toEqual(bodies)
  })

  test('a wrong body, one that is cut off, one that comes twice and a large one do nothing to their neighbours', async () => {
    const good = texts('neighbour', 5)
    const large = Buffer.alloc(1_500_000, 'large')
    const statuses = await whileOneIsWritten(() => {
      const half = connectRaw(server.url)
      const gone = connectRaw(server.url)
      const head = (digest: Digest) =>
        `POST ${at(digest)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.adminToken}\r\nTransfer-Encoding: chunked\r\n\r\n`
      half.write(`${head(digestOf('never ends'))}5\r\nnever\r\n`)
      gone.write(`${head(digestOf('leaves'))}6\r\nleaves\r\n0\r\n\r\n`)
      setTimeout(() => {
        half.destroy()
        gone.destroy()
      }, 50)
      return [
        ...good.map((text) => upload(text)),
        upload('not what it says', digestOf('something else')),
        upload('twice'),
        upload('twice'),
        upload(large),
      ].map((answer) => answer.then(({ status }) => status))
    })
    expect(statuses).toEqual([...good.map(() => 201), 422, 201, 201, 201])
    expect(await Promise.all(good.map(read))).toEqual(good)
    expect(await read('twice')).toBe('twice')
    expect(await read(large)).toBe(large.toString('latin1'))
    expect([await read('never ends'), await read('something else'), await read('leaves')]).toEqual([404, 404, 404])
  })

  test('two contents with one md5 in one batch: the first is stored, the second refused', async () => {
    const [one, two] = COLLISION
    const both = await whileOneIsWritten(() => [upload(one), upload(two), upload('beside the collision')])
    expect(both.map(({ status }) => status).toSorted()).toEqual([201, 201, 409])
    expect(await read('beside the collision')).toBe('beside the collision')
  })

  test('when the store fails, every member hears of it and none is visible', async () => {
    const bodies = texts('no room', 6)
    onPut = () => Promise.reject(new CairnError('STORAGE_FULL', 'the test says so'))
    const answers = await whileOneIsWritten(() => bodies.map((text) => upload(text)))
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 507))
    expect(await Promise.all(bodies.map(read))).toEqual(bodies.map(() => 404))
    onPut = undefined
    expect((await Promise.all(bodies.map((text) => upload(text)))).map(({ status }) => status)).toEqual(bodies.map(() => 201))
  })

  test('when the database fails, every member hears of it and none is visible', async () => {
    await sql(
      `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'full' using errcode = '53300'; end $$`,
    )
    const bodies = texts('no row', 6)
    const answers = await whileOneIsWritten(() => {
      onPut = (key) =>
        key.includes('/packs/')
          ? sql('create trigger refuse before insert on object execute function refuse()')
          : Promise.resolve()
      return bodies.map((text) => upload(text))
    })
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 503))
    await sql('drop trigger refuse on object')
    expect(await Promise.all(bodies.map(read))).toEqual(bodies.map(() => 404))
    expect((await upload('no row 0')).status).toBe(201)
  })

  test('an upload that repairs a damaged object is served again, whoever shares its blob', async () => {
    await upload('was damaged')
    const { catalog } = server.parts.stores
    const project = (await catalog.findProject('demo'))?.id ?? 0
    const [row] = await catalog.findObjects(project, [digestOf('was damaged')])
    await catalog.markDamaged(project, [row?.id ?? 0])
    expect(await read('was damaged')).toBe(404)
    puts = []
    const answers = await whileOneIsWritten(() => [upload('was damaged'), upload('new beside it')])
    expect(answers.map(({ status }) => status)).toEqual([201, 201])
    expect(await read('was damaged')).toBe('was damaged')
  })
})
