import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { playInTurns } from './play.ts'
import { stageOf } from './small.ts'
import { localSteps } from './steps.ts'
import { openBench } from './subject.ts'
import { localSubjects } from './subjects.ts'
import type { World } from './world.ts'

const FOLDER_FILES = 1000
const OPERATIONS = new Set(['add, cold', 'add, nothing new', 'status', 'checkout, nothing to do'])

/** As many real files as the tree has entries: what cairn holds in memory. Stock dvc is left out, it needs an hour. */
export async function addManyFiles(world: World): Promise<void> {
  const { machine, options, record } = world
  const [cairn] = localSubjects(world)
  if (!cairn) return
  const bench = await openBench(machine, cairn, world.base, 'files')
  const dataSet = {
    title: `${options.entries} files`,
    write: (dir: string) => writeFiles(path.join(dir, 'data'), options.entries),
    change: () => undefined,
  }
  const steps = localSteps({ dataSet, round: 0 }).filter(({ operation }) => OPERATIONS.has(operation))
  await playInTurns(stageOf(world, 'scale', 0), [bench], steps)
  const own = record.samples.filter(({ set, operation }) => set === 'scale' && OPERATIONS.has(operation))
  const value = Math.max(...own.map(({ mib }) => mib))
  record.note({ set: 'scale', name: 'files: peak of the client', subject: 'cairn', value, unit: 'MiB' })
}

function writeFiles(dir: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const folder = path.join(dir, `d${Math.floor(index / FOLDER_FILES)}`)
    if (index % FOLDER_FILES === 0) mkdirSync(folder, { recursive: true })
    writeFileSync(path.join(folder, `f${index}.txt`), `file ${index}\n`)
  }
}
