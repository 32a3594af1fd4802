import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { serializeTree } from '@cairn/protocol/tree'
import { afterAll, expect, test } from 'vitest'
import { namesInOrder } from './names-in-tree.ts'

const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-names-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const md5 = (text: string): string => createHash('md5').update(text).digest('hex')
const file = (n: number): Digest => makeDigest(md5(`${n}`))

function treeOf(entries: Array<{ path: string; digest: Digest }>, options: { legacy?: boolean } = {}) {
  const bytes = serializeTree(entries)
  const name = path.join(dir, md5(Buffer.from(bytes).toString('latin1')))
  writeFileSync(name, bytes)
  return { path: name, digest: makeDigest(createHash('md5').update(bytes).digest('hex'), { tree: true, ...options }) }
}

const name = (n: number): string => `d/${String(n).padStart(6, '0')}`

test('Finds every file of a tree of many pieces in its order, and any part of it', async () => {
  const count = 20_000
  const tree = treeOf(Array.from({ length: count }, (_, n) => ({ path: name(n), digest: file(n) })))
  const all = Array.from({ length: count }, (_, n) => file(n))
  expect(await namesInOrder(tree, all)).toBe(true)
  expect(
    await namesInOrder(
      tree,
      all.filter((_, n) => n % 97 === 5),
    ),
  ).toBe(true)
  expect(await namesInOrder(tree, [])).toBe(true)
})

test('Does not vouch for what the tree does not name, nor for another order', async () => {
  const tree = treeOf([1, 2, 3].map((n) => ({ path: name(n), digest: file(n) })))
  expect(await namesInOrder(tree, [file(1), file(9)])).toBe(false)
  expect(await namesInOrder(tree, [file(2), file(1)])).toBe(false)
  expect(await namesInOrder(tree, [file(1), file(1)])).toBe(false)
})

test('A name that looks like an entry is none', async () => {
  const other = md5('secret')
  const sly = `{"md5": "${other}", "relpath": "x`
  const tree = treeOf([{ path: sly, digest: file(1) }, ...[2, 3].map((n) => ({ path: name(n), digest: file(n) }))])
  expect(await namesInOrder(tree, [makeDigest(other)])).toBe(false)
})

test('Digests of the other kind are not what the tree names', async () => {
  const tree = treeOf([{ path: 'a', digest: file(1) }])
  expect(await namesInOrder(tree, [makeDigest(md5('1'), { legacy: true })])).toBe(false)
  expect(await namesInOrder(tree, [makeDigest(md5('1'), { tree: true })])).toBe(false)
  const legacy = treeOf([{ path: 'a', digest: file(1) }], { legacy: true })
  expect(await namesInOrder(legacy, [makeDigest(md5('1'), { legacy: true })])).toBe(true)
})
