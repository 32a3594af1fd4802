import { mkdirSync, mkdtempSync } from 'node:fs'
import path from 'node:path'
import { type DataSet, smallFiles } from './data-set.ts'
import { type Floor, LOCAL_FLOORS, TRANSFER_FLOORS } from './floor.ts'
import { unique } from './place.ts'
import { figures, orderOf, playInTurns, playStep, type Stage } from './play.ts'
import { countRequests } from './requests.ts'
import { firstPush, localSteps, pushNothing, transferSteps, wideSteps } from './steps.ts'
import { type Bench, openBench, type Subject } from './subject.ts'
import { localSubjects, transferSubjects } from './subjects.ts'
import type { World } from './world.ts'

/** From so many files on only what costs nothing new is timed: stock's first push of them takes minutes. */
const WIDE = 50_000

/** Many small files. */
export async function benchSmall(world: World): Promise<void> {
  const { options } = world
  for (const count of options.files) {
    const dataSet = smallFiles(count)
    if (count >= WIDE) await benchWide(world, dataSet)
    else await benchAll(world, dataSet)
  }
}

async function benchAll(world: World, dataSet: DataSet): Promise<void> {
  const { options, record } = world
  const local = options.steps.has('local') ? localSubjects(world) : []
  const remote = options.steps.has('transfer') ? await transferSubjects(world) : []
  if (local.length > 0) record.title('local', `${dataSet.title}, without a server, ${options.rounds} rounds`)
  if (remote.length > 0) record.title('transfer', `${dataSet.title}, with a server, ${options.rounds} rounds`)
  for (let round = 0; round < options.rounds; round++) {
    if (local.length > 0) {
      const stage = stageOf(world, 'local', round)
      await playFloors(world, stage, dataSet, LOCAL_FLOORS)
      await timeNode(world, stage)
      await playInTurns(stage, await openAll(world, local, round), localSteps({ dataSet, round }))
    }
    if (remote.length > 0) {
      const stage = stageOf(world, 'transfer', round)
      await playFloors(world, stage, dataSet, TRANSFER_FLOORS)
      await playInTurns(stage, await openAll(world, remote, round), transferSteps({ dataSet, round }))
    }
  }
  if (remote.length > 0) await countRequests(world, 'transfer', transferSteps({ dataSet, round: 0 }))
}

/** Prepared once, for its preparation is the slow part; the rounds repeat only what changes nothing. */
async function benchWide(world: World, dataSet: DataSet): Promise<void> {
  const { options } = world
  if (options.steps.has('local')) await benchWideLocal(world, dataSet)
  if (options.steps.has('transfer')) await benchWideTransfer(world, dataSet)
}

async function benchWideLocal(world: World, dataSet: DataSet): Promise<void> {
  const { options, record } = world
  record.title('wide local', `${dataSet.title}, without a server, ${options.rounds} rounds after one preparation`)
  const benches = await openAll(world, localSubjects(world).filter(isCompared), 0)
  const preparation = localSteps({ dataSet, round: 0 }).filter(({ operation }) => operation === 'add, cold')
  await playInTurns(stageOf(world, 'wide local', 0), benches, preparation)
  for (let round = 0; round < options.rounds; round++) {
    const stage = stageOf(world, 'wide local', round)
    const floors = LOCAL_FLOORS.filter(({ operation }) => operation === 'status')
    await playFloors(world, stage, dataSet, floors)
    await playInTurns(stage, orderOf(benches, round), wideSteps({ dataSet, round }))
  }
}

async function benchWideTransfer(world: World, dataSet: DataSet): Promise<void> {
  const { options, record } = world
  record.title('wide transfer', `${dataSet.title}, with a server, ${options.rounds} rounds after one preparation`)
  const benches = await openAll(world, (await transferSubjects(world)).filter(isCompared), 0)
  const preparation = firstPush({ dataSet, round: 0 })
  await playInTurns(stageOf(world, 'wide transfer', 0), benches, preparation)
  for (let round = 0; round < options.rounds; round++)
    await playInTurns(stageOf(world, 'wide transfer', round), orderOf(benches, round), pushNothing())
  await countRequests(world, 'wide transfer', [...preparation, ...pushNothing()])
}

/** No goal compares with the others here, and to prepare them takes minutes. */
const isCompared = ({ name }: Subject): boolean => !name.startsWith('restic') && name !== 'dvc → Cairn'

export function stageOf({ machine, record, say }: World, set: string, round: number): Stage {
  return { machine, set, round, keep: (sample) => record.keep(sample), say }
}

export async function openAll(world: World, subjects: readonly Subject[], round: number): Promise<Bench[]> {
  const benches: Bench[] = []
  for (const subject of orderOf(subjects, round))
    benches.push(await openBench(world.machine, subject, world.base, `round-${round}`))
  return benches
}

/** What the machine needs for the bytes alone, in this round. */
export async function playFloors(world: World, stage: Stage, dataSet: DataSet, floors: readonly Floor[]): Promise<void> {
  if (floors.length === 0) return
  const { machine, base, raw } = world
  const dir = mkdtempSync(path.join(base, 'floor-'))
  dataSet.write(dir)
  for (const { operation, work } of floors) {
    const scratch = path.join(dir, `scratch-${unique()}`)
    mkdirSync(scratch)
    await machine.settle()
    const timing = await machine.time(() => work({ data: path.join(dir, 'data'), scratch, url: raw.url }))
    stage.keep({ set: stage.set, operation, subject: 'floor', round: stage.round, ...figures(timing) })
  }
}

/** The floor of a start: Node with nothing to do. */
async function timeNode(world: World, stage: Stage): Promise<void> {
  const run = () => world.machine.run({ file: process.execPath, args: ['-e', '0'], cwd: world.base, env: process.env })
  const subject: Subject = { name: 'floor', tool: 'cairn', file: process.execPath }
  const bench: Pick<Bench, 'subject' | 'done'> = { subject, done: new Map() }
  await playStep(stage, bench as Bench, { operation: '--version', times: 5, run })
}
