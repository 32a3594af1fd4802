import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'

const stations: Workstation[] = []
afterAll(() => {
  for (const station of stations) station.remove()
})

async function startProject(files: Record<string, string>): Promise<Workstation> {
  const station = createWorkstation()
  stations.push(station)
  station.git('init', '-q')
  await station.cairn('init')
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(station.dir, name), text)
  return station
}

const STAGE = `stages:
  count:
    cmd: cp in out && echo "n$(cat in)" > n.json
    deps: [in]
    outs: [out]
    metrics:
    - n.json:
        cache: false
`

test('gc keeps what the run cache gives back, outputs that Git keeps among it', async () => {
  const station = await startProject({ 'dvc.yaml': STAGE, in: '1\n' })
  await station.cairn('repro')
  station.git('add', '-A')
  station.git('commit', '-qm', 'first')
  expect((await station.cairn('gc', '-w', '-f')).stdout).toContain("No unused 'repo' cache to remove.")
  writeFileSync(path.join(station.dir, 'in'), '2\n')
  await station.cairn('repro')
  writeFileSync(path.join(station.dir, 'in'), '1\n')
  for (const made of ['out', 'n.json']) rmSync(path.join(station.dir, made))
  expect((await station.cairn('repro')).stdout).toContain("Stage 'count' is cached - skipping run")
})
