import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Digest, objectPath } from '@cairn/protocol/digest'
import { createDirectoryRemote } from '../../client-cli/src/remote/directory-remote.ts'
import { createDvcHttpRemote } from '../../client-cli/src/remote/dvc-http-remote.ts'
import { NO_CREDENTIALS } from '../../client-cli/src/remote/credentials.ts'
import { createHttpClient } from '../../client-cli/src/remote/http-client.ts'
import { remoteSuite, type RemotePlace } from '../conformance/remote.ts'
import { openCairn } from '../rig/cairn-remote.ts'
import { startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { startTestServer, type TestServer } from '../rig/server.ts'

const tempDir = () => mkdtempSync(path.join(os.tmpdir(), 'cairn-remote-'))

function flip(file: string): void {
  chmodSync(file, 0o644)
  const bytes = readFileSync(file)
  const at = bytes.length >> 1
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

remoteSuite('a directory', (): Promise<RemotePlace> => {
  const dir = tempDir()
  return Promise.resolve({
    open: (part, cache) => Promise.resolve(createDirectoryRemote({ name: 'dir', dir: path.join(dir, part), cache })),
    damage: (part, digest) => Promise.resolve(flip(path.join(dir, part, objectPath(digest)))),
    stop: () => Promise.resolve(rmSync(dir, { recursive: true })),
  })
})

for (const noHead of [false, true]) {
  remoteSuite(noHead ? 'plain HTTP without HEAD' : 'plain HTTP', async (): Promise<RemotePlace> => {
    const dir = tempDir()
    const server = await startPlainHttpRemote({ dir, noHead })
    return {
      open(part, cache) {
        const url = `${server.url}/${part}`
        const http = createHttpClient({ base: url, credentials: NO_CREDENTIALS, sockets: 8 })
        return Promise.resolve(createDvcHttpRemote({ name: 'plain', url, method: 'POST', jobs: 8, http, cache }))
      },
      damage: (part, digest) => Promise.resolve(flip(path.join(dir, part, objectPath(digest)))),
      async stop() {
        await server.stop()
        rmSync(dir, { recursive: true })
      },
    }
  })
}

remoteSuite('a Cairn server', async (): Promise<RemotePlace> => {
  const server = await startTestServer()
  return {
    async open(part, cache) {
      await server.createProject(part)
      const token = await server.token(['read', 'write'], [part])
      return openCairn({ url: `${server.url}/dvc/${part}`, token, cache })
    },
    damage: (part, digest) => damageStored(server, part, digest),
    stop: () => server.stop(),
  }
})

/** Changes the object's bytes where its blob says they are. */
async function damageStored(server: TestServer, part: string, digest: Digest): Promise<void> {
  const project = await server.parts.stores.catalog.findProject(part)
  const [row] = await server.parts.stores.catalog.findObjects(project?.id ?? 0, [digest])
  if (!row) throw new Error(`no object ${digest}`)
  const name = path.basename(row.key)
  const file = readdirSync(server.blobDir, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isFile() && entry.name === name,
  )
  if (!file) throw new Error(`no blob ${row.key}`)
  const full = path.join(file.parentPath, file.name)
  chmodSync(full, 0o644)
  const bytes = readFileSync(full)
  const at = row.offset + (row.size >> 1)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(full, bytes)
}
