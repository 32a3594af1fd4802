import { rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'
import { must, use, writeFiles } from '../rig/two-clients.ts'

const CLIENTS = ['cairn', 'dvc'] as const

const stations: Workstation[] = []
let source: Workstation
let ours: Workstation
let theirs: Workstation

function newStation(): Workstation {
  const station = createWorkstation()
  stations.push(station)
  return station
}

const PIPELINE = `stages:
  eval:
    cmd: mkdir -p curves && echo x,y > curves/loss.csv && echo x,y > roc.csv && echo 1 > model.bin && echo '{"a":1}' > score.json && echo a,b > more.csv
    deps:
    - data
    outs:
    - model.bin
    - curves
    - more.csv
    metrics:
    - score.json
    plots:
    - roc.csv
plots:
- curves/loss.csv
- named:
    x: step
    y:
      more.csv: b
`

async function clone(): Promise<Workstation> {
  const station = newStation()
  station.git('clone', '-q', source.dir, path.join(station.home, 'clone'))
  return station.at(path.join(station.home, 'clone'))
}

beforeAll(async () => {
  source = newStation()
  source.git('init', '-q', '-b', 'main')
  await must('cairn', source, 'init')
  await must('cairn', source, 'remote', 'add', '-d', 'store', path.join(source.home, 'store'))
  writeFiles(source, {
    'data/a': 'aaaa\n',
    'data/sub/b': 'bb\n',
    'images/cat.png': 'cat\n',
    'images/dog.png': 'dogdogdog\n',
    'large.txt': 'x'.repeat(500),
    'dvc.yaml': PIPELINE,
  })
  await must('cairn', source, 'add', 'data', 'images/cat.png', 'images/dog.png', 'large.txt')
  await must('cairn', source, 'repro')
  await must('cairn', source, 'push')
  source.git('add', '-A')
  source.git('commit', '-qm', 'all')
  ;[ours, theirs] = [await clone(), await clone()]
}, 120_000)
afterAll(() => {
  for (const station of stations) station.remove()
})

const clearCache = (station: Workstation) => rmSync(path.join(station.dir, '.dvc/cache'), { recursive: true, force: true })
const cached = (station: Workstation) => folderDigest(path.join(station.dir, '.dvc/cache/files'))

describe('beside stock dvc', () => {
  test('fetch brings what is small enough, or is of a kind', { timeout: 240_000 }, async () => {
    for (const args of [
      ['--max-size', '100'],
      ['--max-size', '8'],
      ['--max-size', '500'],
      ['--max-size', '0'],
      ['--type', 'metrics'],
      ['--type', 'plots'],
      ['--type', 'metrics', '--type', 'plots'],
      ['--type', 'plots', '--max-size', '5'],
      ['data', '--type', 'plots'],
      ['--max-size', 'ten'],
      ['--type', 'images'],
    ]) {
      const answers = []
      for (const [client, station] of [
        ['cairn', ours],
        ['dvc', theirs],
      ] as const) {
        clearCache(station)
        const { code, stdout } = await use(client, station, 'fetch', ...args)
        // What is wrong on the command line stock answers with all of its help.
        answers.push({ code, stdout: code === 254 ? '' : stdout, cached: cached(station) })
      }
      expect(answers[0], args.join(' ')).toEqual(answers[1])
    }
  })

  test('push and pull take patterns', { timeout: 240_000 }, async () => {
    const answers: unknown[][] = []
    for (const client of CLIENTS) {
      const station = await clone()
      await must('cairn', station, 'pull')
      await must('cairn', station, 'remote', 'add', '-f', '-d', 'store', path.join(station.home, 'own'))
      const answer: unknown[] = []
      for (const args of [
        ['push', '--glob', 'images/*.dvc'],
        ['push', '--glob', 'nothing*'],
        ['push', '--glob', 'd?ta', 'large.*'],
        ['push', '--glob', '**/*.png'],
        ['pull', '--glob', 'images/c*.dvc'],
        ['pull', '--glob', 'nothing*'],
      ]) {
        const { code, stdout } = await use(client, station, ...args)
        answer.push({ args, code, stdout, stored: folderDigest(path.join(station.home, 'own')) })
      }
      answers.push(answer)
    }
    expect(answers[0]).toEqual(answers[1])
  })

  test('pull --allow-missing ends well without what is nowhere', { timeout: 240_000 }, async () => {
    for (const args of [['--allow-missing'], [], ['data', '--allow-missing'], ['images/cat.png.dvc', '--allow-missing']]) {
      const answers = []
      for (const client of CLIENTS) {
        const station = await clone()
        await must('cairn', station, 'remote', 'add', '-f', '-d', 'store', path.join(station.home, 'part'))
        await run('cp', ['-a', path.join(source.home, 'store'), path.join(station.home, 'part')], { cwd: station.home })
        const cat = /md5: (..)(.*)/.exec(source.git('show', 'HEAD:images/cat.png.dvc'))
        rmSync(path.join(station.home, 'part/files/md5', cat?.[1] ?? '', cat?.[2] ?? ''))
        const { code, stdout } = await use(client, station, 'pull', ...args)
        const lines = stdout.split('\n').toSorted()
        answers.push({ code, lines, large: folderDigest(path.join(station.dir, 'large.txt')) })
      }
      expect(answers[0], args.join(' ')).toEqual(answers[1])
    }
  })
})
