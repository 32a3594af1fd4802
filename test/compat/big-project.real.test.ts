import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { placeBigProject } from '../rig/big-project.ts'
import type { Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'
import { startTestServer, type TestServer } from '../rig/server.ts'
import { answer, nameOf, type Remote } from './big-project-answer.ts'
import { CHANGING, NOT_YET, type Row, SHARING, TELLING } from './big-project-rows.ts'

let base: string
let server: TestServer
beforeAll(async () => {
  base = mkdtempSync(path.join(os.tmpdir(), 'cairn-big-'))
  await placeBigProject(path.join(base, 'project'), realParts().dvc)
  server = await startTestServer()
})
afterAll(async () => {
  await server.stop()
  rmSync(base, { recursive: true, force: true })
})

function compare(set: string, rows: readonly Row[], remote?: Remote): void {
  describe(set, () => {
    for (const row of rows) {
      const name = nameOf(row)
      const check = NOT_YET.has(`${set}: ${name}`) ? test.fails : test
      check(name, async () => {
        const project = path.join(base, 'project')
        const [ours, theirs] = await Promise.all([answer('cairn', project, row, remote), answer('dvc', project, row, remote)])
        expect(ours).toEqual(row.better?.(theirs, project) ?? theirs)
      })
    }
  })
}

compare('telling', TELLING)
compare('changing', CHANGING)
compare('with a folder', SHARING, async (station) => {
  await setUp(station, ['add', '-d', 'origin', path.join(station.home, 'store')])
})
compare('with a Cairn server', SHARING, async (station) => {
  const slug = `big-${randomBytes(6).toString('hex')}`
  await server.createProject(slug)
  await setUp(
    station,
    ['add', '-d', 'origin', `${server.url}/dvc/${slug}`],
    ['modify', 'origin', 'auth', 'custom'],
    ['modify', 'origin', 'custom_auth_header', 'Authorization'],
    ['modify', 'origin', 'password', `Bearer ${server.adminToken}`],
  )
})

async function setUp(station: Workstation, ...commands: string[][]): Promise<void> {
  // Of the user, not of the project: stock pushes a tag's files to the remote that the tag's own config names, and to none without.
  for (const [verb = '', ...args] of commands) await station.cairn('remote', verb, '--global', ...args)
}
