import { afterAll, beforeAll, expect, test } from 'vitest'
import { refusingServer, repositoryWith, soundRepository, TRIED_INPUTS } from '../rig/bad-inputs.ts'
import { createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

let station: Workstation
let server: { url: string; close(): void }
beforeAll(async () => {
  station = createWorkstation()
  await soundRepository(station)
  server = await refusingServer()
})
afterAll(() => {
  server.close()
  station.remove()
})

/** Cairn's codes for the same table are in test/e2e/bad-inputs.test.ts. */
test.each(TRIED_INPUTS)('dvc ends with the same exit code: %s', async (_, input) => {
  const dir = repositoryWith(input, station, server.url)
  const done = await run(realParts().dvc, input.args, { cwd: dir, env: station.env })
  expect(done.code, `${input.better ?? ''}\n${done.stderr}`).toBe(input.stock ?? input.code)
})
