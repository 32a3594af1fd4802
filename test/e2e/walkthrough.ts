import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { writeImages } from '../rig/images.ts'
import { createWorkstation, folderDigest, ROOT, type Workstation } from '../rig/project.ts'

export interface WalkthroughOptions {
  /** A server's remote URL and a token with read and write. */
  remote: string
  token: string
  /** At least 10 and a multiple of 10; ten folders share them. */
  images: number
  /** Called with each line of the transcript. */
  say(line: string): void
}

interface Version {
  tag: string
  images: number
  digits: number
}

/**
 * The walkthrough that Cairn was founded on, in the syntax of 2019: three stages, four tags, partial repro, checkout back
 * and forth, metrics over tags, push, clone, pull. Throws at the first thing that is not as it must be.
 */
export async function walkthrough(options: WalkthroughOptions): Promise<void> {
  const first = createWorkstation()
  const second = createWorkstation()
  try {
    const steps = narrator(options.say)
    const perClass = options.images / 10
    const versions: Version[] = [
      { tag: '0.0', images: Math.ceil(perClass / 10), digits: 0 },
      { tag: '0.1', images: Math.ceil(perClass / 10), digits: 3 },
      { tag: '0.2', images: Math.ceil(perClass / 2), digits: 3 },
      { tag: '0.3', images: perClass, digits: 3 },
    ]
    await startProject(first, options, steps)
    const states = await makeVersions(first, versions, steps)
    await goBackAndForth(first, states, steps)
    await compareMetrics(first, steps)
    await showPipeline(first, steps)
    await share(first, options, steps)
    await continueElsewhere(first, second, options, states, steps)
  } finally {
    first.remove()
    second.remove()
  }
}

type Steps = (station: Workstation, ...args: string[]) => Promise<string>

function narrator(say: (line: string) => void): Steps {
  return async (station, ...args) => {
    const done = await station.cairn(...args)
    say(
      `$ cairn ${args.map((arg) => (/[^\w./=:@-]/.test(arg) ? `'${arg}'` : arg)).join(' ')}   (${(done.milliseconds / 1000).toFixed(2)} s)`,
    )
    for (const line of done.stdout.trimEnd().split('\n').slice(0, 40)) if (line) say(`  ${line}`)
    return done.stdout
  }
}

async function startProject(station: Workstation, options: WalkthroughOptions, step: Steps): Promise<void> {
  cpSync(path.join(ROOT, 'test/e2e/walkthrough-project'), station.dir, { recursive: true })
  writeImages(path.join(station.dir, 'raw'), { count: options.images, seed: 2019 })
  writeFileSync(path.join(station.dir, '.gitignore'), '/raw\n')
  // Git keeps no empty folder, so a fresh clone's template has neither.
  for (const folder of ['config', 'model']) mkdirSync(path.join(station.dir, folder), { recursive: true })
  writeFileSync(path.join(station.dir, 'model/.gitignore'), '')
  station.git('init', '-q', '-b', 'master')
  await step(station, 'init')
  station.git('commit', '-qm', 'Start')
}

const CONFIG = 'config/load.json config/train.json'.split(' ') as [string, string]

function configure(station: Workstation, version: Version): void {
  writeFileSync(path.join(station.dir, CONFIG[0]), `{"images": ${version.images}}\n`)
  writeFileSync(path.join(station.dir, CONFIG[1]), `{"digits": ${version.digits}}\n`)
}

const node = `"${process.execPath}"`

async function makeVersions(station: Workstation, versions: readonly Version[], step: Steps): Promise<Map<string, State>> {
  const states = new Map<string, State>()
  for (const [index, version] of versions.entries()) {
    configure(station, version)
    if (index === 0) await runStages(station, step)
    else await reproduce(station, step, versions[index - 1] as Version, version)
    station.git('add', '-A')
    station.git('commit', '-qm', `Version ${version.tag}`)
    station.git('tag', version.tag)
    states.set(version.tag, stateOf(station))
  }
  assert.match(await step(station, 'repro', 'evaluate.dvc'), /Pipeline is up to date\. Nothing to reproduce\./)
  assert.match(await step(station, 'status'), /up to date/)
  return states
}

async function runStages(station: Workstation, step: Steps): Promise<void> {
  await step(station, 'run', '-f', 'load.dvc', '-d', 'config/load.json', '-d', 'code/load.sh', '-o', 'data', 'sh code/load.sh')
  await step(
    station,
    'run',
    '-f',
    'train.dvc',
    '-d',
    'data',
    '-d',
    'config/train.json',
    '-d',
    'code/train.mjs',
    '-o',
    'model/model.json',
    `${node} code/train.mjs`,
  )
  const evaluate = [
    '-f',
    'evaluate.dvc',
    '-d',
    'data',
    '-d',
    'model/model.json',
    '-d',
    'code/evaluate.mjs',
    '-M',
    'model/metrics.json',
  ]
  await step(station, 'run', ...evaluate, `${node} code/evaluate.mjs`)
  await step(station, 'metrics', 'modify', 'model/metrics.json', '--type', 'json', '--xpath', 'acc')
  assert.match(readFileSync(path.join(station.dir, '.gitignore'), 'utf8'), /^\/data$/m)
  assert.match(readFileSync(path.join(station.dir, 'model/.gitignore'), 'utf8'), /^\/model\.json$/m)
}

async function reproduce(station: Workstation, step: Steps, before: Version, after: Version): Promise<void> {
  const status = await step(station, 'status')
  assert.match(status, after.images === before.images ? /train\.dvc:/ : /load\.dvc:/)
  const told = await step(station, 'repro', 'evaluate.dvc')
  if (after.images === before.images) assert.match(told, /Stage 'load\.dvc' didn't change/)
  else assert.match(told, /Reproducing 'load\.dvc'/)
  assert.match(told, /Reproducing 'train\.dvc'/)
}

interface State {
  data: string | undefined
  model: string | undefined
  metrics: string
}

const stateOf = (station: Workstation): State => ({
  data: folderDigest(path.join(station.dir, 'data')),
  model: folderDigest(path.join(station.dir, 'model/model.json')),
  metrics: readFileSync(path.join(station.dir, 'model/metrics.json'), 'utf8'),
})

async function goBackAndForth(station: Workstation, states: ReadonlyMap<string, State>, step: Steps): Promise<void> {
  for (const tag of ['0.0', '0.3', '0.1', '0.2', '0.3']) {
    station.git('checkout', '-q', tag)
    await step(station, 'checkout')
    assert.deepEqual(stateOf(station), states.get(tag), `the workspace at tag ${tag}`)
    assert.match(await step(station, 'status'), /up to date/)
  }
  station.git('checkout', '-q', 'master')
  await step(station, 'checkout')
}

async function compareMetrics(station: Workstation, step: Steps): Promise<void> {
  assert.match(await step(station, 'metrics', 'show'), /model\/metrics\.json: \[[\d.]+\]/)
  const over = await step(station, 'metrics', 'show', '-T')
  for (const tag of ['0.0', '0.1', '0.2', '0.3'])
    assert.match(over, new RegExp(`^${tag.replace('.', '\\.')}:\\n\\tmodel/metrics\\.json: \\[[\\d.]+\\]`, 'm'))
}

async function showPipeline(station: Workstation, step: Steps): Promise<void> {
  const drawn = await step(station, 'pipeline', 'show', '--ascii', 'evaluate.dvc')
  for (const stage of ['load.dvc', 'train.dvc', 'evaluate.dvc']) assert.ok(drawn.includes(stage), `${stage} is drawn`)
  assert.match(await step(station, 'pipeline', 'show', '--commands', 'evaluate.dvc'), /sh code\/load\.sh/)
  assert.match(await step(station, 'pipeline', 'show', '--outs', 'evaluate.dvc'), /^data$/m)
}

async function share(station: Workstation, options: WalkthroughOptions, step: Steps): Promise<void> {
  station.env['CAIRN_TOKEN'] = options.token
  await step(station, 'remote', 'add', '-d', 'origin', options.remote)
  station.git('commit', '-qam', 'Share')
  assert.match(await step(station, 'push', '-T'), /pushed/)
  assert.match(await step(station, 'push', '-T'), /Everything is up to date\./)
  assert.match(await step(station, 'status', '-c'), /in sync/)
}

async function continueElsewhere(
  from: Workstation,
  station: Workstation,
  options: WalkthroughOptions,
  states: ReadonlyMap<string, State>,
  step: Steps,
): Promise<void> {
  station.git('clone', '-q', from.dir, path.join(station.home, 'clone'))
  const clone = station.at(path.join(station.home, 'clone'))
  clone.env['CAIRN_TOKEN'] = options.token
  await step(clone, 'pull', '-T')
  assert.ok(!existsSync(path.join(clone.dir, 'raw')), 'the clone has no raw images: everything comes from the server')
  for (const [tag, state] of states) {
    clone.git('checkout', '-q', tag)
    await step(clone, 'checkout')
    assert.deepEqual(stateOf(clone), state, `the clone at tag ${tag}`)
  }
  clone.git('checkout', '-q', 'master')
  await step(clone, 'checkout')
  assert.match(await step(clone, 'repro', 'evaluate.dvc'), /Pipeline is up to date\. Nothing to reproduce\./)
}
