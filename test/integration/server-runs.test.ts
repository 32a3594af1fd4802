import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MAX_RUN_BYTES, RUN_BODY_BYTES, type RunName, runPath } from '@cairn/protocol/run-name'
import { startTestServer, type TestServer } from '../rig/server.ts'

let server: TestServer
let projects = 0
let base: string
let stock: string

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

async function newProject(): Promise<string> {
  const slug = `runs-${projects++}`
  await server.createProject(slug)
  base = `/api/v1/projects/${slug}/runs`
  stock = `/dvc/${slug}`
  return slug
}

const hex = (text: string): string => createHash('sha256').update(text).digest('hex')
const nameOf = (key: string, value = key): RunName => `${hex(key)}/${hex(value)}` as RunName
const send = (runs: Array<{ name: string; entry: string }>, token?: string) =>
  server.ask('POST', base, { json: { runs }, ...(token !== undefined && { token }) })
const list = async (after = '') =>
  (await (await server.ask('GET', `${base}${after}`)).json()) as { runs: RunName[]; next: RunName | null }
const bring = async (runs: RunName[]) =>
  (
    (await (await server.ask('POST', `${base}/fetch`, { json: { runs } })).json()) as {
      runs: Array<{ name: RunName; entry: string }>
    }
  ).runs

describe('the run cache of a project', () => {
  test('what was sent is listed in order and comes back; another project has none of it', async () => {
    await newProject()
    const runs = ['a', 'b', 'c'].map((key) => ({ name: nameOf(key), entry: `cmd: ${key} é\n` }))
    expect(await (await send(runs)).json()).toEqual({ stored: 3, exists: 0 })
    const names = runs.map((each) => each.name).toSorted()
    expect(await list()).toEqual({ runs: names, next: null })
    expect((await list(`?after=${encodeURIComponent(names[0] ?? '')}`)).runs).toEqual(names.slice(1))
    expect((await bring([...names, nameOf('unknown')])).toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
      runs.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    )
    await newProject()
    expect(await list()).toEqual({ runs: [], next: null })
    expect(await bring(names)).toEqual([])
  })

  test('an entry that is there stays as it is', async () => {
    await newProject()
    const name = nameOf('first')
    await send([{ name, entry: 'first' }])
    expect(await (await send([{ name, entry: 'second' }])).json()).toEqual({ stored: 0, exists: 1 })
    expect(await bring([name])).toEqual([{ name, entry: 'first' }])
  })

  test('who may only read does not write, and names that are none are refused', async () => {
    const slug = await newProject()
    const reader = await server.token(['read'], [slug])
    const sent = [{ name: nameOf('x'), entry: 'x' }]
    expect((await send(sent, reader)).status).toBe(403)
    expect((await server.ask('PUT', `${stock}/${runPath(nameOf('x'))}`, { body: 'x', token: reader })).status).toBe(403)
    expect((await server.ask('GET', base, { token: reader })).status).toBe(200)
    expect((await server.ask('GET', base, { token: await server.token(['read'], ['demo']) })).status).toBe(404)
    for (const name of ['../../etc/passwd', `${hex('a')}/${hex('b')}/c`, hex('a'), ''])
      expect((await send([{ name, entry: 'x' }])).status, name).toBe(400)
    expect((await send([])).status).toBe(400)
    expect((await list()).runs).toEqual([])
  })

  test('an answer has a bound, and asking again brings the rest', async () => {
    await newProject()
    const entry = 'x'.repeat(MAX_RUN_BYTES)
    const names = Array.from({ length: 6 }, (_, index) => nameOf(`long ${index}`))
    for (const name of names) expect((await send([{ name, entry }])).status).toBe(200)
    expect((await send([{ name: nameOf('é'), entry: 'é'.repeat(MAX_RUN_BYTES) }])).status).toBe(413)
    const first = await bring(names)
    expect(first).toHaveLength(RUN_BODY_BYTES / MAX_RUN_BYTES)
    const came = new Set(first.map((one) => one.name))
    expect(await bring(names.filter((name) => !came.has(name)))).toHaveLength(2)
  })
})

describe('the same entries below the remote url of a stock client', () => {
  test('an entry is put and got as a file', async () => {
    await newProject()
    const name = nameOf('stock')
    const file = `${stock}/${runPath(name)}`
    expect((await server.ask('GET', file)).status).toBe(404)
    expect((await server.ask('HEAD', file)).status).toBe(404)
    for (const [method, status] of [
      ['POST', 201],
      ['PUT', 200],
    ] as const)
      expect((await server.ask(method, file, { body: 'cmd: x\n' })).status).toBe(status)
    expect(await (await server.ask('GET', file)).text()).toBe('cmd: x\n')
    expect((await server.ask('HEAD', file)).headers.get('content-length')).toBe('7')
    expect(await bring([name])).toEqual([{ name, entry: 'cmd: x\n' }])
  })

  test('what is no entry is refused', async () => {
    await newProject()
    const file = `${stock}/${runPath(nameOf('bad'))}`
    expect((await server.ask('PUT', file, { body: '' })).status).toBe(400)
    expect((await server.ask('PUT', file, { body: new Uint8Array([0xff, 0xfe]) })).status).toBe(400)
    expect((await server.ask('PUT', file, { body: 'x'.repeat(MAX_RUN_BYTES + 1) })).status).toBe(413)
    for (const path of [`runs/zz/${nameOf('bad')}`, `runs/00/${hex('a')}`, 'runs'])
      expect((await server.ask('PUT', `${stock}/${path}`, { body: 'x' })).status, path).toBe(404)
    expect((await list()).runs).toEqual([])
  })
})
