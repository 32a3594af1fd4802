import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Job } from '@cairn/protocol/api'
import type { Digest } from '@cairn/protocol/digest'
import { readPack } from '@cairn/protocol/pack'
import { freshBackends } from '../rig/backends.ts'
import { digestOf, packOf, type ServerProcess, startServerProcess, treeOf } from '../rig/server.ts'

const P = '/api/v1/projects/default'
let first: ServerProcess
let second: ServerProcess

beforeAll(async () => {
  const env = await freshBackends()
  first = await startServerProcess({ env })
  second = await startServerProcess({
    env: { ...env, CAIRN_JOBS: 'off' },
    ...(first.adminToken ? { adminToken: first.adminToken } : {}),
  })
}, 120_000)
afterAll(async () => {
  await second.remove()
  await first.remove()
})

test('the first of two servers on one database prints a token, the second does not, and both take it', async () => {
  expect(first.output()).toContain('The administrator token')
  expect(second.output()).not.toContain('The administrator token')
  for (const server of [first, second]) {
    expect(await (await server.ask('GET', '/readyz')).json()).toEqual({ ready: true, database: 'ok', blobs: 'ok' })
    expect((await server.ask('GET', '/api/v1/whoami')).status).toBe(200)
  }
})

test('objects, packs and trees go into the bucket by one server and come out by the other', async () => {
  const large = randomBytes(20 * 1024 * 1024)
  expect((await first.ask('PUT', `${P}/objects/${digestOf(large)}`, { body: large })).status).toBe(201)
  expect(large.equals(new Uint8Array(await (await second.ask('GET', `${P}/objects/${digestOf(large)}`)).arrayBuffer()))).toBe(
    true,
  )
  const ranged = await second.ask('GET', `${P}/objects/${digestOf(large)}`, { headers: { Range: 'bytes=12000000-12000099' } })
  expect(large.subarray(12_000_000, 12_000_100).equals(new Uint8Array(await ranged.arrayBuffer()))).toBe(true)
  const members = Array.from({ length: 2000 }, (_, at) => ({ bytes: `bucket member ${at}` }))
  const tree = treeOf(Object.fromEntries(members.map(({ bytes }, at) => [`f${at}`, digestOf(bytes)])))
  const sent = await first.ask('POST', `${P}/trees?digest=${tree.digest}`, { body: tree.bytes })
  const { session, missing } = (await sent.json()) as { session: string; missing: Digest[] }
  expect(missing).toHaveLength(2000)
  expect(await (await second.ask('POST', `${P}/packs?session=${session}`, { body: packOf(members) })).json()).toMatchObject({
    stored: 2000,
  })
  expect((await first.ask('POST', `${P}/sessions/${session}/commit`, { json: { roots: [tree.digest] } })).status).toBe(200)
  const fetched = await second.ask('POST', `${P}/objects/fetch`, { json: { digests: missing } })
  let count = 0
  for await (const record of readPack(fetched.body ?? new ReadableStream())) if (record.type === 'object') count++
  expect(count).toBe(2000)
})

test('wrong bytes leave nothing in the bucket that anybody can see', async () => {
  const digest = digestOf('the promise')
  const answer = await first.ask('PUT', `${P}/objects/${digest}`, { body: randomBytes(12 * 1024 * 1024) })
  expect(answer.status).toBe(422)
  expect((await second.ask('GET', `${P}/objects/${digest}`)).status).toBe(404)
})

test('a job asked for at a server that runs none is run by the other', async () => {
  const { id } = (await (await second.ask('POST', '/api/v1/jobs', { json: { type: 'scrub' } })).json()) as Job
  const read = async () => (await (await second.ask('GET', `/api/v1/jobs/${id}`)).json()) as Job
  await expect.poll(async () => (await read()).state, { timeout: 25_000 }).toBe('done')
  expect((await read()).progress).toMatchObject({ damaged: 0 })
})

test("two deployments that share one Redis do not take each other's jobs", async () => {
  const stranger = await startServerProcess({ env: await freshBackends() })
  try {
    for (let round = 0; round < 4; round++) {
      const { id } = (await (await stranger.ask('POST', '/api/v1/jobs', { json: { type: 'scrub' } })).json()) as Job
      const state = async () => ((await (await stranger.ask('GET', `/api/v1/jobs/${id}`)).json()) as Job).state
      await expect.poll(state, { timeout: 5_000 }).toBe('done')
    }
  } finally {
    await stranger.remove()
  }
})
