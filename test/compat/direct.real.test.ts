import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { emptyBucket, freshBackends } from '../rig/backends.ts'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'
import { type ServerProcess, startServerProcess } from '../rig/server.ts'

const MIB = 1 << 20
const { dvc, s3 } = realParts()

let straight: CountingProxy
let env: Record<string, string>
let redirecting: ServerProcess
let streaming: ServerProcess

beforeAll(async () => {
  straight = await startCountingProxy(s3.endpoint)
  env = { ...(await freshBackends()), S3_PUBLIC_ENDPOINT: straight.url }
  redirecting = await startServerProcess({ env: { ...env, CAIRN_DIRECT: 'stock' } })
  const { adminToken } = redirecting
  streaming = await startServerProcess({ env: { ...env, CAIRN_JOBS: 'off' }, ...(adminToken ? { adminToken } : {}) })
}, 120_000)
afterAll(async () => {
  await straight.close()
  await streaming.remove()
  await redirecting.remove()
  await emptyBucket(env)
})

interface Auth {
  [option: string]: string
}

const custom = (token: string): Auth => ({ auth: 'custom', custom_auth_header: 'Authorization', password: `Bearer ${token}` })
const basic = (token: string): Auth => ({ auth: 'basic', user: 'ada', password: token })

/** Stock dvc pushes a large and a small file, loses its cache and pulls; resolves with what went by the bucket's own door. */
async function roundTrip(server: ServerProcess, auth: (token: string) => Auth): Promise<CountingProxy['requests']> {
  const ada = createWorkstation()
  const call = async (...args: string[]): Promise<void> => {
    const done = await run(dvc, args, { cwd: ada.dir, env: ada.env })
    if (done.code !== 0) throw new Error(`dvc ${args.join(' ')} exited with ${done.code}\n${done.stdout}\n${done.stderr}`)
  }
  try {
    await setUp(ada, call, { url: `${server.url}/dvc/default`, auth: auth(server.adminToken ?? '') })
    const large = randomBytes(20 * MIB)
    writeFileSync(path.join(ada.dir, 'large.bin'), large)
    writeFileSync(path.join(ada.dir, 'small.bin'), randomBytes(100_000))
    await call('add', 'large.bin', 'small.bin')
    straight.reset()
    await call('push')
    expect(straight.requests).toEqual([])
    for (const name of ['.dvc/cache', 'large.bin', 'small.bin']) rmSync(path.join(ada.dir, name), { recursive: true })
    await call('pull')
    expect(large.equals(readFileSync(path.join(ada.dir, 'large.bin')))).toBe(true)
    return [...straight.requests]
  } finally {
    ada.remove()
  }
}

async function setUp(ada: Workstation, call: (...args: string[]) => Promise<void>, remote: { url: string; auth: Auth }) {
  ada.git('init', '-q', '-b', 'main')
  await call('init', '-q')
  await call('remote', 'add', '-d', 'studio', remote.url)
  for (const [option, value] of Object.entries(remote.auth)) await call('remote', 'modify', '--local', 'studio', option, value)
}

test('where the administrator wants it, a large download of a stock client with a bearer token comes from the bucket', async () => {
  const requests = await roundTrip(redirecting, custom)
  expect(requests.length).toBeGreaterThan(0)
  expect(requests.every((request) => request.startsWith('GET ') && request.includes('/objects/'))).toBe(true)
  expect(straight.received).toBeGreaterThanOrEqual(20 * MIB)
  expect(straight.received).toBeLessThan(41 * MIB)
})

test('one with a user and a password is never sent elsewhere, for it would show them there', async () => {
  expect(await roundTrip(redirecting, basic)).toEqual([])
})

test('without that wish nothing of a stock client is redirected', async () => {
  expect(await roundTrip(streaming, custom)).toEqual([])
})
