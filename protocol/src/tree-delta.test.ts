import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeDigest } from './digest.ts'
import { MAX_TREE_DELTA_BYTES } from './limits.ts'
import { serializeTree, type TreeEntry } from './tree.ts'
import { applyTreeDelta } from './tree-delta.ts'
import { encodeTreeDelta } from './tree-difference.ts'

const LIMIT = 1 << 20

async function* inPieces(bytes: Uint8Array, size = 50): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve()
    yield bytes.subarray(at, at + size)
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(Uint8Array.from(chunk))
  return Buffer.concat(all)
}

const encode = (base: Uint8Array, tree: Uint8Array, size?: number, limit = LIMIT) =>
  encodeTreeDelta(inPieces(base, size), inPieces(tree, size), limit)
const apply = (delta: Uint8Array, base: Uint8Array, limit = LIMIT) => collect(applyTreeDelta(delta, inPieces(base), limit))

const treeOf = (files: ReadonlyMap<string, string>) =>
  serializeTree([...files].map(([path, md5]): TreeEntry => ({ path, digest: makeDigest(md5) })))
const md5Of = (number: number) => createHash('md5').update(String(number)).digest('hex')
const listOf = (count: number) => new Map(Array.from({ length: count }, (_, index) => [`d${index % 9}/f${index}`, md5Of(index)]))

const md5 = fc.integer({ min: 0, max: 3 }).map(md5Of)
const path = fc.oneof(
  fc.stringMatching(/^[ab]{1,3}$/),
  fc.constantFrom('é', 'z', '\ud83d\ude00', '\uffff', 'q"}, {"', 'b\\', 'a"relpath": "b', ' "}'),
)
const files = fc.array(fc.tuple(path, md5), { maxLength: 12 }).map((pairs) => new Map(pairs))

describe('the difference between two trees', () => {
  test('gives the tree back byte for byte, however the bytes arrive', async () => {
    await fc.assert(
      fc.asyncProperty(files, files, fc.integer({ min: 1, max: 300 }), async (before, after, size) => {
        const [base, tree] = [treeOf(before), treeOf(after)]
        const delta = await encode(base, tree, size)
        expect(delta && (await apply(delta, base))).toEqual(Buffer.from(tree))
      }),
    )
  })

  test('gives any bytes back, also those that are no tree', async () => {
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 80 }), files.map(treeOf))
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (base, tree) => {
        const delta = await encode(base, tree)
        expect(delta && (await apply(delta, base))).toEqual(Buffer.from(tree))
      }),
    )
  })

  test('costs what changed, not what stayed', async () => {
    const before = listOf(2000)
    const changes: Array<[string, (list: Map<string, string>) => void, number]> = [
      ['a changed file', (list) => list.set('d3/f300', md5Of(99_999)), 100],
      ['a new file', (list) => list.set('d3/f300-new', md5Of(7)), 150],
      ['a new first and a new last file', (list) => list.set('a', md5Of(1)).set('z', md5Of(2)), 250],
      ['a removed file', (list) => list.delete('d3/f300'), 50],
      ['a removed last file', (list) => list.delete('d8/f998'), 50],
      ['a renamed folder of 222 files', (list) => renameFolder(list, 'd3', 'd3 é'), 222 * 75],
      ['nothing', () => undefined, 20],
    ]
    for (const [what, change, most] of changes) {
      const after = new Map(before)
      change(after)
      const delta = await encode(treeOf(before), treeOf(after), 10_000)
      expect(delta?.length, what).toBeLessThan(most)
      expect((await apply(delta ?? new Uint8Array(), treeOf(before))).equals(treeOf(after)), what).toBe(true)
    }
  })

  test('of names beyond ASCII costs no more: the order is that of the paths, not of their escapes', async () => {
    const before = new Map(Array.from({ length: 500 }, (_, index) => [`ordner-é-${index}`, md5Of(index)]))
    const after = new Map(before).set('ordner-z', md5Of(1)).set('ordner-a', md5Of(2))
    expect((await encode(treeOf(before), treeOf(after), 1000))?.length).toBeLessThan(250)
  })

  test('is given up when it is longer than the limit', async () => {
    const after = new Map([...listOf(500)].map(([name, value], index) => [name, index % 2 ? value : md5Of(index + 9000)]))
    expect(await encode(treeOf(listOf(500)), treeOf(after), 1000, 2000)).toBeUndefined()
    expect(await encode(new Uint8Array(), treeOf(after), 1000, 2000)).toBeUndefined()
  })

  test('reads no more of the base than it needs', async () => {
    const delta = await encode(treeOf(listOf(500)), treeOf(listOf(1)))
    let read = 0
    let closed = false
    async function* base() {
      try {
        for await (const piece of inPieces(treeOf(listOf(500)))) {
          read += piece.length
          yield piece
        }
      } finally {
        closed = true
      }
    }
    const rebuilt = await collect(applyTreeDelta(delta ?? new Uint8Array(), base(), LIMIT))
    expect(rebuilt.equals(treeOf(listOf(1)))).toBe(true)
    expect(read).toBeLessThan(200)
    expect(closed).toBe(true)
  })
})

describe('a hostile delta', () => {
  const base = treeOf(listOf(20))
  const refused = (bytes: number[], code = 'BAD_DELTA') =>
    expect(
      (async () => apply(Buffer.concat([Buffer.from('CAIRNTD1'), Uint8Array.from(bytes)]), base, 10_000))(),
      JSON.stringify(bytes),
    ).rejects.toMatchObject({ code })

  test('is refused', async () => {
    await refused([0, 0]) // ends inside of a record
    await refused([0, 0, 5, 1, 2]) // promises more than it brings
    await refused([0, 0, 0]) // does nothing
    await refused([255, 255, 255, 255, 255, 255, 255, 255, 255, 127, 1, 0]) // beyond every file
    await refused([128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0, 1, 0]) // an endless number
    await refused([255, 127, 1, 0]) // skips more than the base has
    await refused([0, 255, 63, 0]) // copies more than the base has
    await refused([0, 255, 255, 127, 0], 'BODY_TOO_LARGE') // grows beyond the limit
    await expect((async () => apply(Buffer.from('CAIRNTD2'), base))()).rejects.toMatchObject({ code: 'BAD_DELTA' })
    await expect((async () => apply(Buffer.from('CAIRN'), base))()).rejects.toMatchObject({ code: 'BAD_DELTA' })
    await expect((async () => apply(Buffer.alloc(MAX_TREE_DELTA_BYTES + 1), base))()).rejects.toMatchObject({ code: 'BAD_DELTA' })
  })

  test('with any byte changed gives other bytes or is refused, and never runs on', async () => {
    const tree = treeOf(new Map(listOf(20)).set('d1/new', md5Of(1)))
    const delta = (await encode(base, tree)) ?? new Uint8Array()
    await fc.assert(
      fc.asyncProperty(fc.nat(delta.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Uint8Array.from(delta)
        damaged[at] = (damaged[at] ?? 0) ^ flip
        const outcome = await (async () => apply(damaged, base))().catch((error: unknown) => error)
        if (outcome instanceof Error)
          expect(['BAD_DELTA', 'BODY_TOO_LARGE']).toContain((outcome as Error & { code: string }).code)
        else expect((outcome as Buffer).length).toBeLessThanOrEqual(LIMIT)
      }),
    )
  })
})

function renameFolder(list: Map<string, string>, from: string, to: string): void {
  for (const [name, value] of list) {
    if (!name.startsWith(`${from}/`)) continue
    list.delete(name)
    list.set(to + name.slice(from.length), value)
  }
}
