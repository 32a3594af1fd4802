import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { startFreshServer } from '../test/rig/fresh-server.ts'
import { ROOT } from '../test/rig/project.ts'
import { bigFile, smallFiles, type DataSet } from './data-set.ts'
import { floor } from './floor.ts'
import { type Sample } from './measure.ts'
import { cairnServer, folder, objectStorage, plainHttp } from './place.ts'
import { table, type Row } from './report.ts'
import { nameOf, openBench, type Bench, type Subject } from './subject.ts'

const HELP = `npm run bench -- [--rounds 3] [--files 10000] [--mib 1024] [--only small|big] [--dvc PATH]
Times cairn beside stock dvc on the same generated data, in turns, and prints medians and ratios as Markdown.`

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    files: { type: 'string', default: '10000' },
    mib: { type: 'string', default: '1024' },
    only: { type: 'string' },
    dvc: { type: 'string', default: process.env['CAIRN_TEST_DVC'] ?? path.join(ROOT, '.cache/dvc-venv/bin/dvc') },
    help: { type: 'boolean', default: false },
  },
})

/** One round of one subject: every operation in the order of a working day, each timed as a whole process. */
async function playRound(
  bench: Bench,
  dataSet: DataSet,
  round: number,
  keep: (operation: string, sample: Sample) => void,
): Promise<void> {
  const timed = async (operation: string, ...args: string[]) => keep(operation, await bench.timed(...args))
  dataSet.write(bench.dir)
  await timed('add, cold', 'add', 'data')
  bench.commit()
  await timed('add, nothing new', 'add', 'data')
  await timed('status, nothing changed', 'status')
  await timed('checkout, nothing to do', 'checkout')
  await timed('push, first', 'push')
  await timed('push, nothing new', 'push')
  dataSet.change(bench.dir, round)
  await timed('add, a little changed', 'add', 'data')
  bench.commit()
  await timed('push, a little changed', 'push')
  bench.discard('data')
  await timed('checkout, all', 'checkout')
  const clone = bench.clone()
  keep('pull, fresh clone', await clone.timed('pull'))
}

async function compare(dataSet: DataSet, subjects: readonly Subject[], base: string): Promise<Row[]> {
  const rows: Row[] = []
  const keep = (subject: string) => (operation: string, sample: Sample) => {
    const row = rows.find((other) => other.operation === operation && other.subject === subject)
    if (row) row.samples.push(sample)
    else rows.push({ operation, subject, samples: [sample] })
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const subject of subjects) {
      console.error(`${dataSet.name}, round ${round + 1} of ${values.rounds}: ${nameOf(subject)}`)
      const bench = await openBench(subject, base, `${dataSet.name.replace(/\W+/g, '-')}-${round}`)
      await playRound(bench, dataSet, round, keep(nameOf(subject)))
    }
  }
  return rows
}

async function main(): Promise<void> {
  if (values.help) return console.log(HELP)
  const base = mkdtempSync(path.join(os.tmpdir(), 'cairn-bench-'))
  const server = await startFreshServer({ home: path.join(base, 'server') })
  const http = await plainHttp(path.join(base, 'http'))
  try {
    const cairn: Subject = { tool: 'cairn', file: path.join(ROOT, 'client-cli/bin/cairn'), place: cairnServer(server), env: {} }
    const subjects = [cairn]
    const storage = await objectStorage()
    if (existsSync(values.dvc)) {
      const places = [cairnServer(server), http.place, folder(path.join(base, 'folders')), ...(storage ? [storage] : [])]
      subjects.push(...places.map((place): Subject => ({ tool: 'dvc', file: values.dvc, place, env: {} })))
    } else console.error(`no stock dvc at ${values.dvc}: cairn is timed alone (npm run test:real installs one)`)
    const sets = [
      ...(values.only === 'big' ? [] : [smallFiles(Number(values.files))]),
      ...(values.only === 'small' ? [] : [bigFile(Number(values.mib))]),
    ]
    for (const dataSet of sets) {
      const rows = await compare(dataSet, subjects, base)
      const probe = mkdtempSync(path.join(base, 'floor-'))
      dataSet.write(probe)
      const { copy, md5 } = floor(path.join(probe, 'data'), path.join(probe, 'copy'))
      console.log(`\n## ${dataSet.name}, ${values.rounds} rounds\n\n${table(rows, nameOf(cairn))}\n`)
      console.log(`Floor, one thread of this machine: copy ${copy.toFixed(2)} s, read and md5 ${md5.toFixed(2)} s.`)
    }
  } finally {
    await server.stop()
    await http.stop()
    rmSync(base, { recursive: true, force: true })
  }
}

await main()
