import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Job } from '@cairn/protocol/api'
import { digestOf, startTestServer, type TestServer } from '../rig/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ jobs: true })
})
afterAll(() => server.stop())

async function runToEnd(type: string): Promise<Job> {
  const asked = await server.ask('POST', '/api/v1/jobs', { json: { type } })
  expect(asked.status).toBe(202)
  const { id } = (await asked.json()) as Job
  const read = async () => (await (await server.ask('GET', `/api/v1/jobs/${id}`)).json()) as Job
  await expect.poll(async () => (await read()).state, { timeout: 15_000 }).toBe('done')
  return read()
}

test('a scrub that an administrator asks for runs, finds the damage, and its figures can be read', async () => {
  const digest = digestOf('will be damaged')
  await server.ask('PUT', `/api/v1/projects/demo/objects/${digest}`, { body: 'will be damaged' })
  expect((await runToEnd('scrub')).progress).toMatchObject({ objects: 1, damaged: 0 })
  const [row] = await server.parts.stores.catalog.findObjects(1, [digest])
  await writeFile(`${server.blobDir}/blobs/${row?.key}`, 'WILL BE DAMAGED')
  expect((await runToEnd('scrub')).progress).toMatchObject({ objects: 1, damaged: 1 })
  const metrics = await (await server.ask('GET', '/metrics')).text()
  expect(metrics).toMatch(/^cairn_damaged_objects 1$/m)
  expect(metrics).toMatch(/^cairn_damage_found_total 1$/m)
  const projects = (await (await server.ask('GET', '/api/v1/projects/demo')).json()) as { damaged: number }
  expect(projects.damaged).toBe(1)
})

test('expired sessions are cleared by a job', async () => {
  expect((await runToEnd('expire-sessions')).progress).toMatchObject({ sessions: 0 })
})

test('both jobs wait for their time by themselves', async () => {
  const { jobs } = (await (await server.ask('GET', '/api/v1/jobs')).json()) as { jobs: Job[] }
  const waiting = jobs.filter((job) => job.state === 'queued').map((job) => job.type)
  expect(waiting.toSorted()).toEqual(['expire-sessions', 'expire-uploads', 'scrub'])
})
