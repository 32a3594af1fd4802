import { benchBig } from './big.ts'
import { GOALS, judge } from './goals.ts'
import { benchLatency } from './latency.ts'
import { HELP, readOptions, type BenchOptions, type Mode } from './options.ts'
import { createRecord, readRecord, type Record } from './record.ts'
import { benchPipelines } from './pipelines.ts'
import { quantitiesTable, summaryTable, timesTable } from './report.ts'
import { benchScale } from './scale.ts'
import { benchSmall } from './small.ts'
import { openWorld, type World } from './world.ts'

const MODES: { [mode in Mode]: (world: World) => Promise<void> } = {
  small: benchSmall,
  big: benchBig,
  latency: benchLatency,
  pipelines: benchPipelines,
  scale: benchScale,
}

async function measure(options: BenchOptions, record: Record): Promise<void> {
  const world = await openWorld(options, record)
  // Whoever ends the bench early gets what it has, and no server stays behind.
  let stopped = false
  const stop = () => {
    stopped = true
    print(record)
    void world.close().finally(() => process.exit(130))
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  try {
    for (const mode of ['small', 'big', 'latency', 'pipelines', 'scale'] as const) {
      if (options.modes.has(mode)) await MODES[mode](world)
    }
  } catch (error) {
    if (stopped) return
    console.error(error)
    process.exitCode = 1
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
  print(record)
  world.say('deleting what the bench wrote …')
  await world.close()
}

/** The summary first, for whoever has a minute. */
function print(record: Record): void {
  const measured = new Set(record.titles.keys())
  const goals = GOALS.filter(({ set }) => measured.has(set))
  console.log(`### Goals\n\n${summaryTable(judge(goals, record))}\n`)
  for (const [set, title] of record.titles) {
    console.log(`### ${title}\n`)
    const samples = record.samples.filter((sample) => sample.set === set)
    const quantities = record.quantities.filter((quantity) => quantity.set === set)
    if (samples.length > 0) console.log(`${timesTable(samples)}\n`)
    if (quantities.length > 0) console.log(`${quantitiesTable(quantities)}\n`)
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env)
  if (options === undefined) return console.log(HELP)
  if (options.from !== undefined) return print(readRecord(options.from))
  await measure(options, createRecord(options.json))
}

await main()
