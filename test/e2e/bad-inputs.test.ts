import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  BAD_INPUTS,
  contentOf,
  lostFrom,
  refusingServer,
  repositoryWith,
  soundRepository,
  TRIED_INPUTS,
} from '../rig/bad-inputs.ts'
import { createWorkstation, run, CAIRN, type Workstation } from '../rig/project.ts'

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

test('there are enough of them, each with a name of its own', () => {
  const names = BAD_INPUTS.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThanOrEqual(60)
})

describe.concurrent('a clear error and nothing lost', () => {
  test.each(TRIED_INPUTS)('%s', async (_, input) => {
    const dir = repositoryWith(input, station, server.url)
    const before = contentOf(dir)
    const { code, stderr } = await run(CAIRN, input.args, { cwd: dir, env: station.env })
    const errors = stderr.split('\n').filter((line) => line.startsWith('ERROR: '))
    expect([code, errors.length], stderr).toEqual([input.code, 1])
    expect(errors[0]?.slice('ERROR: '.length)).toMatch(input.says)
    expect(stderr).not.toMatch(/\n\s+at |unexpected error|bug in Cairn/)
    const after = contentOf(dir)
    expect(lostFrom(before, after)).toEqual([])
    expect(Object.keys(after).filter((file) => !(file in before) && !file.startsWith('.dvc/cache/'))).toEqual([])
  })
})
