import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { describe, expect, test } from 'vitest'
import { compareSnapshots, shown } from './snapshot-diff.ts'
import { dataStatusJson, dataStatusText, diffJson, diffText } from './snapshot-text.ts'
import type { Snapshot, SnapshotEntry } from './snapshot.ts'

const md5 = (letter: string) => makeDigest(letter.repeat(32))
const file = (letter: string): SnapshotEntry => ({ digest: md5(letter) })
const folder = (letter: string, files: Record<string, string> | undefined): SnapshotEntry => ({
  digest: makeDigest(letter.repeat(32), { tree: true }),
  members: () => files && Object.entries(files).map(([path, each]) => ({ path, digest: md5(each) })),
})
const snapshot = (entries: Record<string, SnapshotEntry>): Snapshot => new Map(Object.entries(entries))
const named = (rows: ReadonlyArray<{ path: string; digest: Digest }>) => rows.map(shown)

describe('comparing two snapshots', () => {
  test('opens folders that differ, and pairs what was renamed', () => {
    const old = snapshot({ data: folder('1', { a: 'a', 'sub/c': 'c', z: 'e' }), one: file('b') })
    const now = snapshot({ data: folder('2', { a: 'd', 'sub2/c': 'c', z: 'e' }), uno: file('b') })
    const diff = compareSnapshots(old, now, { granular: true })
    expect(diff.renamed.map((pair) => `${pair.old.path} > ${pair.new.path}`)).toEqual(['data/sub/c > data/sub2/c', 'one > uno'])
    expect(diff.modified.map((pair) => shown(pair.new))).toEqual(['data/', 'data/a'])
    expect([diff.added, diff.deleted]).toEqual([[], []])
    expect(named(diff.unchanged)).toEqual(['data/z'])
  })

  test('pairs equal contents in the order of the paths, each once', () => {
    const old = snapshot({ x: file('a'), 'a/b': file('a') })
    const now = snapshot({ y: file('a'), 'a.b': file('a'), z: file('a') })
    const diff = compareSnapshots(old, now, { granular: true })
    expect(diff.renamed.map((pair) => [pair.old.path, pair.new.path])).toEqual([
      ['a/b', 'a.b'],
      ['x', 'y'],
    ])
    expect(named(diff.added)).toEqual(['z'])
  })

  test('does not open folders that are the same, unless what is unchanged is wanted', () => {
    const closed: SnapshotEntry = {
      digest: makeDigest('1'.repeat(32), { tree: true }),
      members: () => {
        throw new Error('opened')
      },
    }
    const same = snapshot({ data: closed })
    expect(named(compareSnapshots(same, same, { granular: true }).unchanged)).toEqual(['data/'])
    const open = snapshot({ data: folder('1', { a: 'a' }) })
    expect(named(compareSnapshots(open, open, { granular: true, unchanged: true }).unchanged)).toEqual(['data/', 'data/a'])
  })

  test('calls unknown what is in a folder whose earlier listing is not here', () => {
    const now = snapshot({ data: folder('2', { a: 'a', 'sub/c': 'c' }) })
    const diff = compareSnapshots(snapshot({ data: folder('1', undefined) }), now, { granular: true })
    expect(diff.unknown).toEqual(['data/a', 'data/sub/', 'data/sub/c'])
    expect([diff.added, diff.deleted]).toEqual([[], []])
  })

  test('tells of the wanted paths alone: a rename out of them is a deletion', () => {
    const old = snapshot({ 'a/x': file('a'), b: file('b') })
    const now = snapshot({ 'c/x': file('a'), b: file('c') })
    const diff = compareSnapshots(old, now, { granular: true, isMeant: (path) => path.startsWith('a/') })
    expect([named(diff.deleted), diff.renamed, diff.modified]).toEqual([['a/x'], [], []])
  })

  test('a file that became a folder is modified, and its files are added', () => {
    const diff = compareSnapshots(snapshot({ x: file('a') }), snapshot({ x: folder('1', { f: 'f' }) }), { granular: true })
    expect(diff.modified.map((pair) => shown(pair.new))).toEqual(['x/'])
    expect(named(diff.added)).toEqual(['x/f'])
  })
})

describe('the words for it', () => {
  const old = snapshot({ data: folder('1', { a: 'a' }), gone: file('b') })
  const now = snapshot({ data: folder('2', { a: 'a', n: 'c' }) })

  test('diff counts files and no folders', () => {
    const diff = { ...compareSnapshots(old, now, { granular: true }), missing: [] }
    expect(diffText(diff, false)).toBe(
      'Added:\n    data/n\n\nDeleted:\n    gone\n\nModified:\n    data/\n\nfiles summary: 1 added, 1 deleted',
    )
    expect(diffJson(diff, false)).toEqual({
      added: [{ path: 'data/n' }],
      deleted: [{ path: 'gone' }],
      modified: [{ path: 'data/' }],
      renamed: [],
      'not in cache': [],
    })
  })

  test('diff of equals is {} and no text', () => {
    const diff = { ...compareSnapshots(old, old, { granular: true }), missing: [] }
    expect([diffText(diff, true), diffJson(diff, true)]).toEqual([undefined, {}])
  })

  test('data status leaves out what is empty, and knows Git has changes of its own', () => {
    const none = compareSnapshots(old, old, { granular: false })
    const clean = {
      notInCache: [],
      notInRemote: [],
      committed: none,
      uncommitted: none,
      untracked: [],
      unchanged: [],
      dirty: true,
    }
    expect(dataStatusText(clean, false)).toBe('No changes.\n(there are changes not tracked by dvc, use "git status" to see)')
    expect(dataStatusText({ ...clean, dirty: false }, true)).toBe('No changes in an empty git repo.')
    expect(dataStatusJson(clean)).toEqual({})
    expect(dataStatusJson({ ...clean, committed: compareSnapshots(old, now, { granular: false }) })).toEqual({
      committed: { modified: ['data/'], deleted: ['gone'] },
    })
  })
})
