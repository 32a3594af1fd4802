import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LegacyRepository, writeLegacyRepository } from '../rig/legacy-repository.ts'
import { createWorkstation, folderDigest, type Workstation } from '../rig/project.ts'

let station: Workstation
let legacy: LegacyRepository
const file = (name: string) => path.join(station.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')

beforeEach(() => {
  station = createWorkstation()
  legacy = writeLegacyRepository(station)
})
afterEach(() => station.remove())

describe('a repository as DVC 0.30 left it', () => {
  test('is clean, has nothing to reproduce, and none of its files change by looking', async () => {
    expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
    const done = await station.cairn('repro', 'evaluate.dvc')
    for (const stage of legacy.stageFiles) expect(done.stdout).toContain(`Stage '${stage}' didn't change.`)
    expect(done.stdout).toContain('Pipeline is up to date. Nothing to reproduce.')
    expect(station.git('status', '--porcelain', '--untracked-files=no')).toBe('')
  })

  test('gives back the data of every tag', async () => {
    for (const tag of [...legacy.tags, ...legacy.tags.toReversed()]) {
      station.git('checkout', '-q', tag.name)
      await station.cairn('checkout')
      expect(folderDigest(file('data'))).toBe(tag.data)
      expect(readFileSync(file('model/model.txt'), 'latin1')).toBe(tag.model)
      expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
    }
  })

  test('shows its metrics over all tags, on a dirty tree too, without a checkout', async () => {
    const [one, two, three] = legacy.tags.map((tag) => tag.accuracy)
    const tags = `0.1:\n\tmodel/metrics.json: [${one}]\n0.2:\n\tmodel/metrics.json: [${two}]\n0.3:\n\tmodel/metrics.json: [${three}]\n`
    expect((await station.cairn('metrics', 'show')).stdout).toBe(`\tmodel/metrics.json: [${three}]\n`)
    expect((await station.cairn('metrics', 'show', '-T')).stdout).toBe(`master:\n\tmodel/metrics.json: [${three}]\n${tags}`)
    writeFileSync(file('model/metrics.json'), '{"acc": 0.5}')
    expect((await station.cairn('metrics', 'show', '-T')).stdout).toBe(`master:\n\tmodel/metrics.json: [0.5]\n${tags}`)
    expect((await station.cairn('metrics', 'show', '-a')).stdout).toBe(
      `workspace:\n\tmodel/metrics.json: [0.5]\nmaster:\n\tmodel/metrics.json: [${three}]\n`,
    )
    expect(read('model/metrics.json')).toBe('{"acc": 0.5}')
    expect((await station.cairn('metrics', 'show', '-t', 'raw', '-x', 'acc')).stdout).toBe('\tmodel/metrics.json: {"acc": 0.5}\n')
  })

  test('a metric that is cached is read out of the cache; one that is not there is named, the others are shown', async () => {
    const typed = read('evaluate.dvc').replace('cache: false', 'cache: true')
    writeFileSync(file('evaluate.dvc'), typed)
    station.git('rm', '-q', '--cached', 'model/metrics.json')
    await station.cairn('repro', 'evaluate.dvc', '-f', '-s')
    station.git('add', '-A')
    station.git('commit', '-qam', 'cached metric')
    station.git('tag', '0.4')
    expect((await station.cairn('metrics', 'show', '-T')).stdout).toContain(
      `0.4:\n\tmodel/metrics.json: [${legacy.tags[2]?.accuracy}]\n`,
    )
    rmSync(file('.dvc/cache'), { recursive: true })
    const done = await station.cairn('metrics', 'show', '-T')
    expect(done.stdout).not.toContain('0.4:')
    expect(done.stdout).toContain('0.3:')
    expect(done.stderr).toContain(`'model/metrics.json' of '0.4' is not in the cache`)
  })

  test('what changed is run again; its entries get the digests of today, and the older tags stay as they are', async () => {
    writeFileSync(file('config/load.json'), '{"count": 5}')
    expect((await station.cairn('status')).stdout).toContain('modified:           config/load.json')
    const done = await station.cairn('repro', 'evaluate.dvc')
    expect(done.stdout).toContain(`Dependency 'config/load.json' of 'load.dvc' changed.`)
    expect(done.stdout).toContain(`Reproducing 'train.dvc'`)
    expect(read('load.dvc').replaceAll(/[0-9a-f]{32}/g, 'MD5')).toContain(
      'outs:\n- cache: true\n  hash: md5\n  md5: MD5.dir\n  metric: false\n  nfiles: 5\n  path: data\n  size: 134\nwdir: .\n',
    )
    expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
    const data = folderDigest(file('data'))
    station.git('commit', '-qam', 'five')
    station.git('checkout', '-q', '0.1')
    await station.cairn('checkout')
    expect(folderDigest(file('data'))).toBe(legacy.tags[0]?.data)
    station.git('checkout', '-q', 'master')
    await station.cairn('checkout')
    expect(folderDigest(file('data'))).toBe(data)
  })

  test('metrics modify, remove and add leave the checksum and the outputs alone', async () => {
    const before = read('evaluate.dvc')
    await station.cairn('metrics', 'modify', 'model/metrics.json', '--xpath', 'size')
    expect(read('evaluate.dvc')).toBe(before.replace('xpath: acc', 'xpath: size'))
    await station.cairn('metrics', 'remove', 'model/metrics.json')
    expect(read('evaluate.dvc')).toBe(before.replace('metric:\n    type: json\n    xpath: acc', 'metric: false'))
    await station.cairn('metrics', 'add', 'model/metrics.json', '-t', 'json', '-x', 'acc')
    expect(read('evaluate.dvc')).toBe(before)
    expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
    for (const args of [
      ['metrics', 'add', 'nope'],
      ['metrics', 'modify', 'data', '-t', 'json'],
      ['metrics', 'remove', 'data'],
    ]) {
      const done = await station.tryCairn(...args)
      expect(done.code).toBe(1)
      expect(done.stderr).toMatch(/^ERROR: '(nope|data)' is not/)
    }
  })
})

test('a metric that is added data of today is named in dvc.yaml: its own file stays one that dvc reads', async () => {
  writeFileSync(file('score.json'), '{"score": 3}')
  await station.cairn('add', 'score.json')
  const before = read('score.json.dvc')
  await station.cairn('metrics', 'add', 'score.json')
  expect(read('dvc.yaml')).toBe('metrics:\n- score.json\n')
  expect((await station.tryCairn('metrics', 'modify', 'score.json', '-t', 'json')).code).toBe(1)
  await station.cairn('metrics', 'remove', 'score.json')
  expect(existsSync(file('dvc.yaml'))).toBe(false)
  expect(read('score.json.dvc')).toBe(before)
})

describe('migrate', () => {
  test('writes dvc.yaml and dvc.lock, removes the old files and runs nothing', async () => {
    const plan = await station.cairn('migrate', '--dry-run')
    expect(plan.stdout).toContain(`Migrating 'load.dvc' to stage 'load' in 'dvc.yaml'`)
    expect(station.git('status', '--porcelain', '--untracked-files=no')).toBe('')
    const ignored = read('.gitignore')
    const data = folderDigest(file('data'))
    const done = await station.cairn('migrate')
    expect(done.stderr).toContain(`metric 'model/metrics.json': its type and xpath are not kept`)
    expect(legacy.stageFiles.filter((name) => existsSync(file(name)))).toEqual([])
    expect(read('.gitignore')).toBe(ignored)
    expect(read('.dvc/.gitignore')).toMatch(/\/cache\n\/tmp\n$/)
    expect(read('dvc.yaml')).toBe(`stages:
  load:
    cmd: python3 -B code/load.py
    deps:
    - code/load.py
    - config/load.json
    outs:
    - data
  train:
    cmd: sh code/train.sh
    deps:
    - code/train.sh
    - data
    outs:
    - model/model.txt
  evaluate:
    cmd: python3 -B code/evaluate.py
    deps:
    - code/evaluate.py
    - model/model.txt
    metrics:
    - model/metrics.json:
        cache: false
`)
    expect(folderDigest(file('data'))).toBe(data)
    expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
    rmSync(file('data'), { recursive: true })
    unlinkSync(file('model/model.txt'))
    await station.cairn('checkout')
    expect(folderDigest(file('data'))).toBe(data)
    expect(readFileSync(file('model/model.txt'), 'latin1')).toBe(legacy.tags[2]?.model)
    expect((await station.cairn('migrate')).stdout).toBe('No stage files of 2019 in this repository.\n')
  })

  test('takes what is not in the workspace out of the cache', async () => {
    rmSync(file('data'), { recursive: true })
    await station.cairn('migrate')
    await station.cairn('checkout')
    expect(folderDigest(file('data'))).toBe(legacy.tags[2]?.data)
    expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  })

  test('lists content that is nowhere, changes nothing and exits with 1', async () => {
    appendFileSync(file('code/train.sh'), '# newer\n')
    rmSync(file('data'), { recursive: true })
    rmSync(file('.dvc/cache'), { recursive: true })
    const done = await station.tryCairn('migrate')
    expect(done.code).toBe(1)
    expect(done.stderr).toContain(`'code/train.sh' of 'train.dvc'`)
    expect(done.stderr).toContain(`'data' of 'load.dvc'`)
    expect(done.stderr).toContain('nothing was migrated: 3 entries')
    expect(existsSync(file('dvc.yaml'))).toBe(false)
    expect(legacy.stageFiles.every((name) => existsSync(file(name)))).toBe(true)
    expect(station.git('status', '--porcelain', '--untracked-files=no')).toBe('M code/train.sh')
  })

  test('is completed by a second run, wherever the first was killed', async () => {
    await station.cairn('migrate')
    const done = { yaml: read('dvc.yaml'), lock: read('dvc.lock') }
    const restore = (...files: string[]) => station.git('checkout', '-q', '--', ...files)
    // The states that a kill leaves: the lock alone; both files and no old one gone; some old ones gone.
    const states = [
      () => unlinkSync(file('dvc.yaml')),
      () => undefined,
      () => legacy.stageFiles.slice(1).forEach((name) => rmSync(file(name))),
    ]
    for (const kill of states) {
      restore(...legacy.stageFiles)
      kill()
      await station.cairn('migrate')
      expect({ yaml: read('dvc.yaml'), lock: read('dvc.lock') }).toEqual(done)
      expect(legacy.stageFiles.filter((name) => existsSync(file(name)))).toEqual([])
      expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
    }
  })

  test('turns added data and stages in folders into their files of today', async () => {
    mkdirSync(file('sub'))
    writeFileSync(file('sub/raw.txt'), 'raw\n')
    await station.cairn('add', 'sub/raw.txt')
    const md5 = /md5: ([0-9a-f]{32})/.exec(read('sub/raw.txt.dvc'))?.[1] ?? ''
    // The raw and the legacy digest of a text with LF are the same digits.
    writeFileSync(
      file('sub/raw.txt.dvc'),
      `md5: 0123456789abcdef0123456789abcdef\nouts:\n- cache: true\n  md5: ${md5}\n  metric: false\n  path: raw.txt\nwdir: .\n`,
    )
    writeFileSync(file('sub/Dvcfile'), `cmd: cat raw.txt\ndeps:\n- path: raw.txt\nwdir: .\n`)
    await station.cairn('migrate')
    expect(read('sub/raw.txt.dvc')).toBe(`outs:\n- md5: ${md5}\n  size: 4\n  hash: md5\n  path: raw.txt\n`)
    expect(read('sub/dvc.yaml')).toBe('stages:\n  Dvcfile:\n    cmd: cat raw.txt\n    deps:\n    - raw.txt\n')
    expect(existsSync(file('sub/dvc.lock'))).toBe(false)
    expect(existsSync(file('sub/Dvcfile'))).toBe(false)
  })
})
