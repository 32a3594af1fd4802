import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Context } from '../../client-cli/src/command.ts'
import { openRemote } from '../../client-cli/src/remote/open.ts'
import { openRepo } from '../../client-cli/src/repo/open.ts'
import { startFaultProxy, type FaultProxy } from '../rig/fault-proxy.ts'
import { startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { startTestServer, type TestServer } from '../rig/server.ts'
import { createStockedCache, quietly, type StockedCache } from '../rig/stocked-cache.ts'

let server: TestServer
let proxy: FaultProxy
let root: string
let stocked: StockedCache

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server?.stop())
beforeEach(async () => {
  proxy = await startFaultProxy(server.url)
  root = mkdtempSync(path.join(os.tmpdir(), 'cairn-open-'))
  execFileSync('git', ['init', '-q'], { cwd: root })
  mkdirSync(path.join(root, '.dvc/tmp'), { recursive: true })
  stocked = createStockedCache()
})
afterEach(async () => {
  await proxy.stop()
  rmSync(root, { recursive: true })
  stocked.remove()
})

const context = (): Context => ({
  cwd: root,
  env: { HOME: root, CAIRN_TOKEN: server.adminToken },
  signal: new AbortController().signal,
  report: () => undefined,
  verbose: false,
  quiet: false,
})

function open(config: string, name?: string) {
  writeFileSync(path.join(root, '.dvc/config'), config)
  return openRemote(openRepo(root, context().env), name, context(), stocked.cache)
}

const remoteConfig = (url: string, more = '') => `[core]\n    remote = origin\n['remote "origin"']\n    url = ${url}\n${more}`

describe('a url with a Cairn server behind it', () => {
  test('is asked once a day what it is, so that a push of nothing new is one request', async () => {
    const config = remoteConfig(`${proxy.url}/dvc/demo`)
    const first = await open(config)
    const file = stocked.file('hello')
    await first.push([], [file], quietly())
    await first.close()
    expect(proxy.requests[0]).toBe('GET /dvc/demo/.well-known/cairn')

    proxy.requests.length = 0
    const second = await open(config)
    expect(await second.push([], [file], quietly())).toMatchObject({ pushed: 0, requests: 1 })
    await second.close()
    expect(proxy.requests).toHaveLength(1)
  })

  test('that answers with errors is an error, not a plain server', async () => {
    proxy.faults.onRequest = () => 500
    writeFileSync(path.join(root, '.dvc/config'), remoteConfig(`${proxy.url}/dvc/demo`))
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 500)
    const opening = openRemote(openRepo(root, context().env), undefined, { ...context(), signal: stop.signal }, stocked.cache)
    await expect(opening).rejects.toThrow()
    expect(new Set(proxy.requests)).toEqual(new Set(['GET /dvc/demo/.well-known/cairn']))
  })
})

describe('any other http url', () => {
  test('is used as stock dvc uses it, and gets its own credentials and no token of Cairn', async () => {
    const authorization = `Basic ${Buffer.from('ada:pw').toString('base64')}`
    const plain = await startPlainHttpRemote({ dir: path.join(root, 'plain'), authorization })
    try {
      const remote = await open(
        remoteConfig(`${plain.url}/a/b`, '    auth = basic\n    user = ada\n    password = pw\n    method = put\n'),
      )
      const file = stocked.file('hello')
      expect(await remote.push([], [file], quietly())).toMatchObject({ pushed: 1 })
      await remote.close()
      expect(plain.requests).toEqual([
        'GET /a/b/.well-known/cairn',
        'HEAD /a/b/files/md5/5d/41402abc4b2a76b9719d911017c592',
        'PUT /a/b/files/md5/5d/41402abc4b2a76b9719d911017c592',
      ])
    } finally {
      await plain.stop()
    }
  })

  test('with wrong credentials is an error and not an empty remote', async () => {
    const plain = await startPlainHttpRemote({ dir: path.join(root, 'plain'), authorization: 'Basic x' })
    try {
      const remote = await open(remoteConfig(plain.url))
      await expect(remote.findMissing([stocked.file('hello')], quietly())).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      await remote.close()
    } finally {
      await plain.stop()
    }
  })
})

test('a path is a directory, and remote:// a folder below another remote', async () => {
  const config = `['remote "base"']\n    url = ${path.join(root, 'store')}\n['remote "sub"']\n    url = remote://base/deep\n`
  const remote = await open(config, 'sub')
  expect(remote.url).toBe(path.join(root, 'store/deep'))
  await remote.close()
})

test('what cairn cannot read is said with what it can', async () => {
  await expect(open(remoteConfig('gs://bucket/x'))).rejects.toMatchObject({
    code: 'CONFIG',
    exit: 251,
    message: expect.stringContaining('gs://') as string,
  })
  await expect(open('[core]\n')).rejects.toMatchObject({ code: 'CONFIG' })
})
