import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeSmallFiles } from '../rig/images.ts'
import { createWorkstation, folderDigest, type Workstation } from '../rig/project.ts'
import { startTestServer, type TestServer } from '../rig/server.ts'
import { CERTIFICATE, startTlsProxy } from '../rig/tls-proxy.ts'

const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-tls-'))
let server: TestServer
let proxy: Awaited<ReturnType<typeof startTlsProxy>>
let station: Workstation

beforeAll(async () => {
  server = await startTestServer()
  proxy = await startTlsProxy(server.url)
  station = createWorkstation({ env: { CAIRN_TOKEN: server.adminToken } })
  writeFileSync(path.join(home, 'ca.pem'), CERTIFICATE)
  station.git('init', '-q', '-b', 'main')
  await station.cairn('init')
  await station.cairn('remote', 'add', '-d', 'origin', `${proxy.url}/dvc/demo`)
  writeSmallFiles(path.join(station.dir, 'data'), { count: 50, seed: 8 })
  await station.cairn('add', 'data')
})
afterAll(async () => {
  await proxy.stop()
  await server.stop()
  station.remove()
  rmSync(home, { recursive: true, force: true })
})

test('a server whose certificate nobody vouches for is refused', async () => {
  const done = await station.tryCairn('push')
  expect(done.code).not.toBe(0)
  expect(done.stderr).toMatch(/certificate/i)
})

test('over TLS, with the certificate named or unverified, a folder goes and comes', async () => {
  await station.cairn('remote', 'modify', 'origin', 'ssl_verify', path.join(home, 'ca.pem'))
  expect((await station.cairn('push')).stdout).toMatch(/51 files pushed/)
  station.git('add', '-A')
  station.git('commit', '-qm', 'Data')
  const clone = station.at(path.join(station.home, 'clone'))
  station.git('clone', '-q', station.dir, clone.dir)
  await clone.cairn('remote', 'modify', '--local', 'origin', 'ssl_verify', 'false')
  await clone.cairn('pull')
  expect(folderDigest(path.join(clone.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
})
