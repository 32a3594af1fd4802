import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { placeBigProject } from '../test/rig/big-project.ts'
import { orderOf, playInTurns } from './play.ts'
import { openAll, stageOf } from './small.ts'
import { both, command, type Step } from './steps.ts'
import { type Bench, openProject } from './subject.ts'
import { localSubjects } from './subjects.ts'
import type { World } from './world.ts'

const CHAIN = 10
const SHORT = 3

/** Stages: what a pipeline costs besides its commands, which only copy a line. */
export async function benchPipelines(world: World): Promise<void> {
  for (const stages of [3, 100]) await benchStages(world, stages)
  await benchProject(world)
}

async function benchStages(world: World, stages: number): Promise<void> {
  const { options, record } = world
  const set = `pipeline of ${stages}`
  record.title(set, `${stages} stages that copy a line, ${options.rounds} rounds`)
  const subjects = localSubjects(world).filter(({ tool }) => tool !== 'restic')
  for (let round = 0; round < options.rounds; round++) {
    const benches = await openAll(world, subjects, round)
    for (const bench of benches) {
      writeStages(bench.dir, stages)
      bench.commit()
    }
    await playInTurns(stageOf(world, set, round), benches, stageSteps())
  }
}

/** Chains of ten, side by side: stages that wait for each other and stages that do not. */
function writeStages(dir: string, stages: number): void {
  mkdirSync(path.join(dir, 'out'))
  writeFileSync(path.join(dir, 'in.txt'), 'a line\n')
  writeFileSync(path.join(dir, 'params.yaml'), 'rate: 0.1\n')
  const texts = Array.from({ length: stages }, (_, at) => {
    const from = at % CHAIN === 0 ? 'in.txt' : `out/${at - 1}.txt`
    const lines = [`cmd: cp ${from} out/${at}.txt`, 'deps:', `- ${from}`, 'params:', '- rate', 'outs:', `- out/${at}.txt`]
    return `  s${at}:\n${lines.map((line) => `    ${line}\n`).join('')}`
  })
  writeFileSync(path.join(dir, 'dvc.yaml'), `stages:\n${texts.join('')}`)
}

/** Committed between, so that what is timed after it finds a clean work tree. */
function stageSteps(): Step[] {
  return [
    command('repro, cold', both('repro')),
    command('repro, nothing to do', both('repro'), { times: SHORT, before: (bench) => bench.commit() }),
    command('status', both('status'), { times: SHORT }),
    command('dag', both('dag'), { times: SHORT }),
  ]
}

function projectSteps(): Step[] {
  const often = { times: SHORT }
  return [
    command('status', both('status'), often),
    command('data status', both('data', 'status'), often),
    command('dag', both('dag'), often),
    command('stage list', both('stage', 'list', '--all'), often),
    command('repro --dry', both('repro', '--dry', '-P'), often),
    command('metrics diff', both('metrics', 'diff', 'v1.0', 'v10.0'), often),
    command('params diff', both('params', 'diff', 'v1.0', 'v10.0'), often),
    command('diff', both('diff', 'v1.0', 'v10.0'), often),
  ]
}

/** The project of 50 stages, 20 .dvc files and 30 commits, which stock dvc made. Nothing here changes it. */
async function benchProject(world: World): Promise<void> {
  const { options, record, machine, base, say } = world
  const subjects = localSubjects(world).filter(({ tool }) => tool !== 'restic')
  if (!subjects.some(({ tool }) => tool === 'dvc')) return say('the project is made by stock dvc: left out')
  record.title('project', `a project of 50 stages, 20 .dvc files and 30 commits, ${options.rounds} rounds`)
  const benches: Bench[] = []
  for (const subject of subjects) {
    const bench = await openProject(machine, subject, base, (dir) => placeBigProject(dir, options.dvc))
    // Without -q, which ends with 1 when something changed: one of the stages always runs.
    await bench.run('status')
    benches.push(bench)
  }
  for (let round = 0; round < options.rounds; round++)
    await playInTurns(stageOf(world, 'project', round), orderOf(benches, round), projectSteps())
}
