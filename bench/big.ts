import { rmSync } from 'node:fs'
import { bigFile } from './data-set.ts'
import { LOCAL_FLOORS, TRANSFER_FLOORS } from './floor.ts'
import { orderOf, playInTurns } from './play.ts'
import { countRequests } from './requests.ts'
import { playFloors, stageOf } from './small.ts'
import { bigSteps, firstPush, pushChanged } from './steps.ts'
import { openBench } from './subject.ts'
import { transferSubjects } from './subjects.ts'
import type { World } from './world.ts'

const FLOORS = new Set(['add, cold', 'checkout, copy', 'push, first', 'pull, fresh clone'])

/**
 * One large file. One subject after the other, and what it leaves is deleted at once: few large files are quick to delete, and
 * the copies of all subjects together would push each other out of the machine's memory.
 */
export async function benchBig(world: World): Promise<void> {
  const { options, record } = world
  const dataSet = bigFile(options.mib)
  record.title('big', `${dataSet.title}, ${options.rounds} rounds`)
  const subjects = await transferSubjects(world)
  const floors = [...LOCAL_FLOORS, ...TRANSFER_FLOORS].filter(({ operation }) => FLOORS.has(operation))
  for (let round = 0; round < options.rounds; round++) {
    const stage = stageOf(world, 'big', round)
    await playFloors(world, stage, dataSet, floors)
    for (const subject of orderOf(subjects, round)) {
      const bench = await openBench(world.machine, subject, world.base, `round-${round}`)
      await playInTurns(stage, [bench], bigSteps({ dataSet, round }))
      rmSync(bench.home, { recursive: true })
    }
  }
  notePeaks(world)
  await countRequests(world, 'big', [...firstPush({ dataSet, round: 0 }), ...pushChanged({ dataSet, round: 0 })])
}

/** The most that a client held in memory, over all its operations. */
function notePeaks({ record }: World): void {
  const own = record.samples.filter(({ set, subject }) => set === 'big' && subject.startsWith('cairn'))
  for (const [subject, samples] of Map.groupBy(own, (sample) => sample.subject)) {
    const value = Math.max(...samples.map(({ mib }) => mib))
    record.note({ set: 'big', name: 'peak of the client', subject, value, unit: 'MiB' })
  }
}
