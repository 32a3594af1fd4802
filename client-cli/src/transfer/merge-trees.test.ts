import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeDigest } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'
import { mergeTrees } from './merge-trees.ts'

const tree = (files: Record<string, string>): TreeEntry[] =>
  Object.entries(files)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, content]) => ({ path, digest: makeDigest(content.repeat(32).slice(0, 32)) }))

const BASE = tree({ a: '1', b: '2', c: '3', 'd/e': '4' })

test('additions, edits and removals of both sides are all taken', () => {
  const merged = mergeTrees(BASE, tree({ a: '5', b: '2', 'd/e': '4', mine: '6' }), tree({ a: '1', b: '7', c: '3', theirs: '8' }))
  expect(merged).toEqual({ entries: tree({ a: '5', b: '7', mine: '6', theirs: '8' }), conflicts: [] })
})

test('what both did alike is no conflict', () => {
  const same = tree({ a: '9', n: '1' })
  expect(mergeTrees(BASE, same, same)).toEqual({ entries: same, conflicts: [] })
})

test('what both changed differently is a conflict by its path, and so is an edit of what the other removed', () => {
  expect(
    mergeTrees(BASE, tree({ a: '5', b: '2', c: '3' }), tree({ a: '6', b: '2', c: '3', 'd/e': '9', n: '1' })).conflicts,
  ).toEqual(['a', 'd/e'])
  expect(mergeTrees([], tree({ a: '1' }), tree({ a: '2' })).conflicts).toEqual(['a'])
})

test('a file of one side where the other has a folder is a conflict', () => {
  expect(mergeTrees([], tree({ x: '1' }), tree({ 'x/y': '2' })).conflicts).toEqual(['x', 'x/y'])
})

test('a side that changed nothing has no say, whichever it is', () => {
  const files = fc.dictionary(fc.constantFrom('a', 'b', 'c/d', 'e'), fc.constantFrom('1', '2', '3'))
  fc.assert(
    fc.property(files, files, (one, other) => {
      const [base, changed] = [tree(one), tree(other)]
      expect(mergeTrees(base, changed, base)).toEqual({ entries: changed, conflicts: [] })
      expect(mergeTrees(base, base, changed)).toEqual({ entries: changed, conflicts: [] })
    }),
  )
})
