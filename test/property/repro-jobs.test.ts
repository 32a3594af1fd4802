import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildGraph, orderStages } from '../../client-cli/src/pipeline/graph.ts'
import { loadStages } from '../../client-cli/src/pipeline/load.ts'
import { openPathLocks } from '../../client-cli/src/pipeline/path-locks.ts'
import { reproduce, type ReproduceOptions } from '../../client-cli/src/pipeline/reproduce.ts'
import { stageWords } from '../../client-cli/src/pipeline/stage-words.ts'
import { workingTree } from '../../client-cli/src/repo/file-tree.ts'
import { createBench } from '../../client-cli/src/workspace/workspace-for-tests.ts'

interface Node {
  /** Places of earlier nodes. */
  after: number[]
  fails: boolean
}

const dags = fc
  .array(fc.record({ after: fc.array(fc.nat(), { maxLength: 3 }), fails: fc.nat(5).map((dice) => dice === 0) }), {
    minLength: 1,
    maxLength: 7,
  })
  .map((nodes) =>
    nodes.map(({ after, fails }, place): Node => ({
      after: place === 0 ? [] : [...new Set(after.map((n) => n % place))],
      fails,
    })),
  )

/** Each stage logs that it begins and ends, and makes its out of its deps'; dvc.yaml lists them in the reverse order. */
function pipelineOf(nodes: readonly Node[]): string {
  const stages = nodes.map(({ after, fails }, place) => {
    const deps = ['in', ...after.map((n) => `s${n}.out`)]
    const work = fails ? 'exit 1' : `cat ${deps.join(' ')} > s${place}.out; echo 's${place} end' >> log`
    return `  s${place}:\n    cmd: "echo 's${place} begin' >> log; ${work}"\n    deps: [${deps.join(', ')}]\n    outs: [s${place}.out]\n`
  })
  return `stages:\n${stages.toReversed().join('')}`
}

interface Outcome {
  log: string[]
  lock: string | undefined
  changed: string[]
  failed: string[]
  error: string | undefined
  /** The path locks that are left. */
  locks: unknown
}

async function run(nodes: readonly Node[], options: ReproduceOptions): Promise<Outcome> {
  const bench = createBench()
  try {
    bench.write('dvc.yaml', pipelineOf(nodes))
    bench.write('in', 'in\n')
    writeFileSync(path.join(bench.root, 'log'), '')
    const { workspace } = bench
    const { repo } = workspace
    const signal = new AbortController().signal
    const report = () => undefined
    const locks = openPathLocks(repo, { cmd: 'repro', signal, report })
    const planWork = async () => {
      const graph = buildGraph(await loadStages(workingTree(repo)))
      return { graph, plan: orderStages(graph), locks, words: () => stageWords(report, '') }
    }
    const env = { PATH: process.env['PATH'] }
    let error: string | undefined
    let done: Awaited<ReturnType<typeof reproduce>> | undefined
    try {
      done = await reproduce({ workspace, env, signal, report, touched: new Set() }, planWork, options)
    } catch (caught) {
      error = caught instanceof Error ? caught.message : String(caught)
    }
    const rwlock = path.join(repo.tmpDir, 'rwlock')
    const read = (file: string) => (existsSync(path.join(bench.root, file)) ? bench.read(file) : undefined)
    return {
      log: bench.read('log').split('\n').filter(Boolean),
      lock: read('dvc.lock'),
      changed: done?.changed.map((stage) => stage.address) ?? [],
      failed: done?.failed.map((stage) => stage.address) ?? [],
      error,
      locks: existsSync(rwlock) ? (JSON.parse(readFileSync(rwlock, 'utf8')) as unknown) : {},
    }
  } finally {
    bench.remove()
  }
}

function checkLog({ log }: Outcome, nodes: readonly Node[]): void {
  expect(new Set(log).size, 'nothing runs twice').toBe(log.length)
  for (const [place, { after }] of nodes.entries()) {
    const begin = log.indexOf(`s${place} begin`)
    if (begin < 0) continue
    for (const before of after) {
      const end = log.indexOf(`s${before} end`)
      expect(end >= 0 && end < begin, `s${place} after s${before}`).toBe(true)
    }
  }
}

describe('repro with several jobs', () => {
  test('runs each stage once, after what it depends on, and comes to what one job comes to', async () => {
    await fc.assert(
      fc.asyncProperty(dags, fc.integer({ min: 2, max: 4 }), async (nodes, jobs) => {
        const serial = await run(nodes, { onFailure: 'go-on' })
        const several = await run(nodes, { onFailure: 'go-on', jobs })
        checkLog(several, nodes)
        const { log, ...outcome } = several
        const { log: inOrder, ...expected } = serial
        expect(outcome).toEqual(expected)
        expect(log.toSorted()).toEqual(inOrder.toSorted())
        expect(several.locks).toEqual({})
      }),
      { numRuns: 6 },
    )
  })

  test('starts nothing after a failure, and records what was under way', async () => {
    await fc.assert(
      fc.asyncProperty(dags, fc.integer({ min: 2, max: 4 }), async (nodes, jobs) => {
        const several = await run(nodes, { jobs })
        checkLog(several, nodes)
        const ran = nodes.map((_, place) => `s${place}`).filter((name) => several.log.includes(`${name} end`))
        for (const name of ran) expect(several.lock).toContain(`\n  ${name}:\n`)
        expect(several.error === undefined).toBe(nodes.every(({ fails }) => !fails))
        expect(several.locks).toEqual({})
      }),
      { numRuns: 4 },
    )
  })
})
