import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Digest } from '@cairn/protocol/digest'
import { digestOf, packOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'

let first: TestServer
let second: TestServer

beforeAll(async () => {
  first = await startTestServer()
  second = await startTestServer({ replicaOf: first })
})
afterAll(async () => {
  await second.stop()
  await first.stop()
})

const P = '/api/v1/projects/demo'

test('a revocation on one replica holds on the other within 5 s', async () => {
  const secret = await first.token(['read'])
  const who = await second.ask('GET', '/api/v1/whoami', { token: secret })
  const { token } = (await who.json()) as { token: { id: string } }
  expect(who.status).toBe(200)
  expect((await first.ask('DELETE', `/api/v1/tokens/${token.id}`)).status).toBe(204)
  await expect
    .poll(async () => (await second.ask('GET', '/api/v1/whoami', { token: secret })).status, { timeout: 5000 })
    .toBe(401)
})

test('what one replica took in, the other has at once', async () => {
  await first.ask('PUT', `${P}/objects/${digestOf('shared')}`, { body: 'shared' })
  expect(await (await second.ask('GET', `${P}/objects/${digestOf('shared')}`)).text()).toBe('shared')
})

test('two clients that push the same folder over two replicas at once both succeed, and it is stored once', async () => {
  const members = Array.from({ length: 200 }, (_, at) => ({ bytes: `raced ${at}` }))
  const tree = treeOf(Object.fromEntries(members.map(({ bytes }, at) => [`f${at}`, digestOf(bytes)])))
  const push = async (server: TestServer) => {
    const sent = await server.ask('POST', `${P}/trees?digest=${tree.digest}`, { body: tree.bytes })
    const { session } = (await sent.json()) as { session: string }
    const packed = await server.ask('POST', `${P}/packs?session=${session}`, { body: packOf(members) })
    const committed = await server.ask('POST', `${P}/sessions/${session}/commit`, { json: { roots: [tree.digest] } })
    return [sent.status, packed.status, committed.status, ((await packed.json()) as { stored: number }).stored]
  }
  const answers = await Promise.all([push(first), push(second)])
  expect(answers.map((answer) => answer.slice(0, 3))).toEqual([
    [200, 200, 200],
    [200, 200, 200],
  ])
  expect(answers.reduce((sum, answer) => sum + (answer[3] ?? 0), 0)).toBe(200)
  const asked = await second.ask('POST', `${P}/objects/missing`, { json: { digests: [tree.digest] } })
  expect(((await asked.json()) as { missing: Digest[] }).missing).toEqual([])
})

test('the same object sent to both at once is stored by one and exists for the other', async () => {
  for (let round = 0; round < 10; round++) {
    const bytes = `one of two ${round}`
    const answers = await Promise.all(
      [first, second].map((server) => server.ask('PUT', `${P}/objects/${digestOf(bytes)}`, { body: bytes })),
    )
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 201])
  }
})
