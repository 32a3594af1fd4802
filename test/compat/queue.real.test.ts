import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'
import { use } from '../rig/two-clients.ts'

const CLIENTS = ['cairn', 'dvc'] as const
const stations: Workstation[] = []

afterAll(() => {
  for (const station of stations) station.remove()
})

async function startProject(): Promise<Workstation> {
  const station = createWorkstation()
  stations.push(station)
  station.git('init', '-q', '-b', 'main')
  await station.cairn('init')
  writeFileSync(path.join(station.dir, 'params.yaml'), 'lr: 1\n')
  writeFileSync(
    path.join(station.dir, 'dvc.yaml'),
    'stages:\n  train:\n    cmd: cp params.yaml model\n    params:\n    - lr\n    outs:\n    - model\n',
  )
  await station.cairn('repro')
  station.git('add', '-A')
  station.git('commit', '-qm', 'one')
  return station
}

test('both see, and remove, what either queued', { timeout: 240_000 }, async () => {
  const station = await startProject()
  for (const [at, client] of [...CLIENTS, ...CLIENTS].entries())
    expect(await use(client, station, 'exp', 'run', '--queue', '-n', `${client}${at}`, '-S', `lr=${at + 2}`)).toHaveProperty(
      'code',
      0,
    )
  const both = async (...args: string[]) => {
    const [mine, stock] = [await use('cairn', station, 'queue', ...args), await use('dvc', station, 'queue', ...args)]
    expect(mine.code, `${args.join(' ')}\n${mine.stderr}`).toBe(stock.code)
    return { mine: mine.stdout, stock: stock.stdout }
  }
  // When they were queued is told to the minute, or to the day.
  const rows = (table: string) => table.replaceAll(/\d\d:\d\d [AP]M|[A-Z][a-z]{2} \d\d, \d{4}/g, 'then')
  const status = await both('status')
  expect(rows(status.mine)).toBe(rows(status.stock))
  expect(status.mine).toContain('dvc3')
  await both('remove')
  await both('remove', 'nobody')
  expect((await use('cairn', station, 'queue', 'remove', 'dvc1')).stdout).toBe('Removed tasks in queue: dvc1\n')
  expect((await use('dvc', station, 'queue', 'remove', 'cairn0')).stdout).toBe('Removed tasks in queue: cairn0\n')
  const fewer = await both('status')
  expect(rows(fewer.mine)).toBe(rows(fewer.stock))

  const started = await use('cairn', station, 'queue', 'start', '-j', '2')
  expect(started, started.stderr).toHaveProperty('code', 0)
  const listed = await use('dvc', station, 'exp', 'list', '--name-only')
  expect(listed.stdout.split('\n').toSorted()).toEqual(['', 'cairn2', 'dvc3'])
  const empty = await both('status')
  expect(empty.mine).toBe('No experiment tasks in the queue.\n\nWorker status: 0 active, 0 idle\n')
  expect((await use('cairn', station, 'queue', 'remove', '--all')).code).toBe(0)
})
