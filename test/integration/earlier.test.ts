import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '@cairn/protocol/digest'
import { createHistory } from '../../client-cli/src/commands/history.ts'
import { openRepo } from '../../client-cli/src/repo/open.ts'
import { createEarlier } from '../../client-cli/src/transfer/earlier.ts'
import type { Output } from '../../client-cli/src/transfer/expand.ts'
import { createWorkstation, type Workstation } from '../rig/project.ts'
import { digestOf } from '../rig/server.ts'
import { createStockedCache, type StockedCache } from '../rig/stocked-cache.ts'

let station: Workstation
let stocked: StockedCache

beforeEach(async () => {
  station = createWorkstation()
  stocked = createStockedCache()
  station.git('init', '-q', '-b', 'main')
  await station.cairn('init')
})
afterEach(() => {
  station.remove()
  stocked.remove()
})

const write = (name: string, text: string) => writeFileSync(path.join(station.dir, name), text)
const commit = () => {
  station.git('add', '-A')
  station.git('commit', '-qm', 'Commit')
}
const track = (name: string, digest: Digest | string) =>
  write(`${name}.dvc`, `outs:\n- md5: ${digest}\n  hash: md5\n  path: ${name}\n`)
const earlier = async (outputs: Output[], digest: Digest): Promise<readonly Digest[]> => {
  const repo = openRepo(station.dir, station.env)
  try {
    return await createEarlier({ outputs, cache: stocked.cache, history: createHistory(repo, new AbortController().signal) })(
      digest,
    )
  } finally {
    await repo.git?.close()
  }
}

describe('what stood at a path before', () => {
  test('is what the commits that touched its stage file recorded, newest first, whether the change is committed or not', async () => {
    const [one, two, three] = ['one', 'two', 'three'].map((text) => digestOf(text)) as [Digest, Digest, Digest]
    for (const digest of [one, two, one]) {
      track('file', digest)
      commit()
      track('other', digestOf(`other than ${digest}`))
      commit()
    }
    track('file', three)
    const outputs = [{ path: 'file', digest: three, file: 'file.dvc' }]
    expect(await earlier(outputs, three)).toEqual([one, two])
    commit()
    expect(await earlier(outputs, three)).toEqual([one, two])
    expect(await earlier([{ path: 'file', digest: three }], three)).toEqual([])
    expect(await earlier(outputs, digestOf('no output'))).toEqual([])
  })

  test('is found in dvc.lock, past versions of it that nobody can read', async () => {
    const lock = (digest: Digest) =>
      `schema: '2.0'\nstages:\n  make:\n    cmd: make\n    outs:\n    - path: model\n      hash: md5\n      md5: ${digest}\n`
    write('dvc.yaml', 'stages:\n  make:\n    cmd: make\n    outs:\n    - model\n')
    write('dvc.lock', lock(digestOf('first')))
    commit()
    write('dvc.lock', '<<<<<<< HEAD\n')
    commit()
    write('dvc.lock', lock(digestOf('second')))
    expect(await earlier([{ path: 'model', digest: digestOf('second'), file: 'dvc.yaml' }], digestOf('second'))).toEqual([
      digestOf('first'),
    ])
  })

  test('of a file in a folder is what the earlier trees in the cache have at its name', async () => {
    const trees = ['v1', 'v2', 'v3'].map((text) => stocked.tree({ 'big.bin': digestOf(text), same: digestOf('same') })) as [
      Digest,
      Digest,
      Digest,
    ]
    for (const tree of trees) {
      track('data', tree)
      commit()
    }
    const outputs = [{ path: 'data', digest: trees[2], file: 'data.dvc' }]
    expect(await earlier(outputs, digestOf('v3'))).toEqual([digestOf('v2'), digestOf('v1')])
    expect(await earlier(outputs, digestOf('same'))).toEqual([])
    stocked.drop(trees[1])
    stocked.damage(trees[0])
    expect(await earlier(outputs, digestOf('v3'))).toEqual([])
  })

  test('is nothing in a repository without a commit, or without Git', async () => {
    track('file', digestOf('new'))
    const outputs = [{ path: 'file', digest: digestOf('new'), file: 'file.dvc' }]
    expect(await earlier(outputs, digestOf('new'))).toEqual([])
  })
})
