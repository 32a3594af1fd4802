import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { freshBackends } from '../rig/backends.ts'
import { startFreshServer } from '../rig/fresh-server.ts'
import { walkthrough } from './walkthrough.ts'

test('the walkthrough on 10,000 images runs through a server on Postgres, S3 and Redis', async () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-walkthrough-'))
  const server = await startFreshServer({ home, env: await freshBackends() })
  const lines: string[] = []
  try {
    await walkthrough({
      remote: `${server.url}/dvc/default`,
      token: server.adminToken,
      images: 10_000,
      say: (line) => lines.push(line),
    })
    expect(lines.some((line) => line.startsWith('$ cairn pull -T'))).toBe(true)
  } finally {
    await server.stop()
    rmSync(home, { recursive: true, force: true })
  }
})
