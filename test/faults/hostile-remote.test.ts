import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')

let station: Workstation
const file = (name: string) => path.join(station.dir, name)
const outside = () => path.join(station.home, 'outside')

beforeEach(async () => {
  station = createWorkstation()
  mkdirSync(outside())
  station.git('init', '-q')
  await station.cairn('init')
  await station.cairn('remote', 'add', '-d', 'store', path.join(station.home, 'store'))
})
afterEach(() => station.remove())

/** An object as somebody who may write to the remote puts it there. */
function plant(text: string, name = md5(text)): void {
  const target = path.join(station.home, 'store/files/md5', name.slice(0, 2), name.slice(2))
  mkdirSync(path.dirname(target), { recursive: true })
  writeFileSync(target, text)
}

/** A tracked folder `data` with these files, as its stage file and the remote tell it. */
function plantTree(files: ReadonlyArray<{ path: string; text: string }>): void {
  for (const { text } of files) plant(text)
  const tree = JSON.stringify(files.map(({ path: relpath, text }) => ({ md5: md5(text), relpath })))
  plant(tree, `${md5(tree)}.dir`)
  writeFileSync(file('data.dvc'), `outs:\n- md5: ${md5(tree)}.dir\n  hash: md5\n  path: data\n`)
}

describe('a tree that a remote gave', () => {
  test.each([
    ['climbs out', '../../outside/evil'],
    ['is absolute', '/tmp/cairn-evil'],
    ["reaches into Git's folder", '.git/hooks/post-checkout'],
    ['climbs and comes back', 'a/../../evil'],
  ])('whose path %s is refused by name, and nothing of it is written', async (_, evil) => {
    plantTree([
      { path: 'good', text: 'good' },
      { path: evil, text: 'evil' },
    ])
    const done = await station.tryCairn('pull')
    expect(done.code).toBe(1)
    expect(done.stderr).toMatch(/^ERROR: .*unsafe path/m)
    expect(done.stderr).not.toMatch(/\bat .*\.m?js:|bug in Cairn/)
    expect([existsSync(file('data')), readdirSync(outside()), existsSync('/tmp/cairn-evil'), existsSync(file('evil'))]).toEqual([
      false,
      [],
      false,
      false,
    ])
  })

  test('is never written through a link that leads out of the workspace', async () => {
    plantTree([{ path: 'sub/file', text: 'from the remote' }])
    mkdirSync(file('data'))
    symlinkSync(outside(), file('data/sub'))
    const done = await station.tryCairn('pull')
    expect(done.code).not.toBe(0)
    expect(done.stderr).toMatch(/^ERROR: /m)
    expect([readdirSync(outside()), lstatSync(file('data/sub')).isSymbolicLink()]).toEqual([[], true])
    await station.cairn('pull', '--force')
    expect([readdirSync(outside()), readFileSync(file('data/sub/file'), 'utf8')]).toEqual([[], 'from the remote'])
  })
})

test('an object with other bytes than its name says enters neither the cache nor the workspace', async () => {
  plant('something else', md5('wanted'))
  writeFileSync(file('model.dvc'), `outs:\n- md5: ${md5('wanted')}\n  hash: md5\n  path: model\n`)
  const done = await station.tryCairn('pull')
  expect(done.code).toBe(1)
  expect(done.stderr).toMatch(/^ERROR: failed to pull data from the cloud - /m)
  expect([
    existsSync(file('model')),
    existsSync(file(`.dvc/cache/files/md5/${md5('wanted').slice(0, 2)}/${md5('wanted').slice(2)}`)),
  ]).toEqual([false, false])
})
