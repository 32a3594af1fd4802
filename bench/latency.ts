import { smallFiles } from './data-set.ts'
import { playInTurns } from './play.ts'
import { openAll, stageOf } from './small.ts'
import { firstPush, pull } from './steps.ts'
import { transferSubjects } from './subjects.ts'
import type { World } from './world.ts'

/** The first push and pull of small files over a long line: every subject's, and the same kind of line before each server. */
export async function benchLatency(world: World): Promise<void> {
  const { options, record } = world
  const [count = 10_000] = options.files
  const dataSet = smallFiles(count)
  record.title('latency', `${dataSet.title}, ${options.latencyMs} ms each way, ${options.rounds} rounds`)
  const far = await transferSubjects(world, async (target) => {
    const { url } = await world.start({ kind: 'delay', target, latencyMs: options.latencyMs })
    return url
  })
  const subjects = far.filter(({ name }) => name !== 'dvc → Cairn')
  for (let round = 0; round < options.rounds; round++) {
    const benches = await openAll(world, subjects, round)
    await playInTurns(stageOf(world, 'latency', round), benches, [...firstPush({ dataSet, round }), pull()])
  }
}
