import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { makeDigest } from '@cairn/protocol/digest'
import { serializeTree, type TreeEntry } from '@cairn/protocol/tree'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FileStat } from '../../client-cli/src/cache/file-stat.ts'
import {
  createTableBuilder,
  decodeTable,
  encodeTable,
  rowMatches,
  rowMd5,
  type StatTable,
} from '../../client-cli/src/cache/stat-cache.ts'
import { ADDED, type Bench, createBench, PLAIN } from '../../client-cli/src/workspace/workspace-for-tests.ts'

const aStat = fc.record({
  mtimeMs: fc.double({ min: 0, max: 2e12, noNaN: true }),
  ctimeMs: fc.double({ min: 0, max: 2e12, noNaN: true }),
  size: fc.nat(),
  ino: fc.maxSafeNat(),
})
const anMd5 = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 })
const aPath = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => !text.includes('\0') && text.isWellFormed())
const rows = fc.uniqueArray(fc.record({ path: aPath, stat: aStat, md5: anMd5 }), { selector: (row) => row.path, maxLength: 20 })
const aKey = fc.record({ path: aPath, legacy: fc.boolean() })

interface Row {
  path: string
  stat: FileStat
  md5: string
}

function tableOf(list: readonly Row[], key: { legacy: boolean }, tree: string | undefined): StatTable {
  const builder = createTableBuilder(1)
  for (const row of list) builder.setMd5(builder.add(row.path, row.stat), row.md5)
  return builder.table(tree === undefined ? undefined : makeDigest(tree, { tree: true, legacy: key.legacy }), 42)
}

describe('a stat table', () => {
  test('comes back as it was written', () => {
    fc.assert(
      fc.property(rows, aKey, fc.option(anMd5, { nil: undefined }), (list, key, tree) => {
        const table = tableOf(list, key, tree)
        const read = decodeTable(encodeTable(key, table), key)
        expect(read?.tree).toBe(table.tree)
        expect(read?.paths).toEqual(list.map((row) => row.path))
        expect(list.every((row, index) => read && rowMatches(read, index, row.stat) && rowMd5(read, index) === row.md5)).toBe(
          true,
        )
      }),
    )
  })

  test('that was cut short, changed or belongs to another path counts as none', () => {
    fc.assert(
      fc.property(rows, aKey, aKey, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, key, other, where, flip) => {
        const file = encodeTable(key, tableOf(list, key, undefined))
        expect(decodeTable(file.subarray(0, where % file.length), key)).toBeUndefined()
        const changed = Buffer.from(file)
        changed[where % file.length] = (changed[where % file.length] ?? 0) ^ flip
        expect(decodeTable(changed, key)).toBeUndefined()
        if (other.path !== key.path || other.legacy !== key.legacy) expect(decodeTable(file, other)).toBeUndefined()
      }),
    )
  })
})

/** What happens to files between two looks. `slot` picks one of four paths, `content` one of three of equal length. */
const aStep = fc.oneof(
  fc.record({ do: fc.constant('write' as const), slot: fc.nat(3), content: fc.nat(2) }),
  fc.record({ do: fc.constant('rewrite, mtime kept' as const), slot: fc.nat(3), content: fc.nat(2) }),
  fc.record({ do: fc.constant('replace by rename' as const), slot: fc.nat(3), content: fc.nat(2) }),
  fc.record({ do: fc.constant('swap' as const), slot: fc.nat(3), content: fc.nat(3) }),
  fc.record({ do: fc.constant('delete' as const), slot: fc.nat(3), content: fc.constant(0) }),
  fc.record({ do: fc.constant('rename the folder' as const), slot: fc.constant(0), content: fc.constant(0) }),
  fc.record({ do: fc.constant('look' as const), slot: fc.nat(1), content: fc.constant(0) }),
  fc.record({ do: fc.constant('save' as const), slot: fc.nat(1), content: fc.constant(0) }),
  fc.record({ do: fc.constant('check out the first save' as const), slot: fc.nat(1), content: fc.constant(0) }),
)

const SLOTS = ['a', 'b', 'sub/a', 'sub/c']
const CONTENTS = ['one', 'two', 'six']

function change(root: string, step: { do: string; slot: number; content: number }): void {
  const file = path.join(root, SLOTS[step.slot] ?? 'a')
  const text = CONTENTS[step.content] ?? 'one'
  mkdirSync(path.join(root, 'sub'), { recursive: true })
  const there = lstatSync(file, { throwIfNoEntry: false })
  if (step.do === 'write') rewrite(file, text)
  else if (step.do === 'rewrite, mtime kept' && there) {
    rewrite(file, text)
    utimesSync(file, there.atimeMs / 1000, there.mtimeMs / 1000)
  } else if (step.do === 'replace by rename') {
    writeFileSync(path.join(root, '../draft'), text)
    renameSync(path.join(root, '../draft'), file)
  } else if (step.do === 'swap') swap(root, file, path.join(root, SLOTS[step.content] ?? 'b'))
  else if (step.do === 'delete') rmSync(file, { force: true })
  else if (step.do === 'rename the folder') {
    renameSync(path.join(root, 'sub'), path.join(root, 'moved'))
    renameSync(path.join(root, 'moved'), path.join(root, 'sub'))
  }
}

/** In place where that is allowed, as an editor or a program does; a read-only link is replaced. */
function rewrite(file: string, text: string): void {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat && (stat.mode & 0o200) === 0) rmSync(file)
  writeFileSync(file, text)
}

function swap(root: string, one: string, other: string): void {
  if (one === other || !lstatSync(one, { throwIfNoEntry: false }) || !lstatSync(other, { throwIfNoEntry: false })) return
  const aside = path.join(root, '../aside')
  renameSync(one, aside)
  renameSync(other, one)
  renameSync(aside, other)
}

/** The digest by reading everything, with nothing of Cairn's but the tree's codec. */
function digestByReading(root: string): string {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).flatMap((entry): TreeEntry[] => {
    if (!entry.isFile()) return []
    const file = path.join(entry.parentPath, entry.name)
    return [{ path: path.relative(root, file), digest: makeDigest(createHash('md5').update(readFileSync(file)).digest('hex')) }]
  })
  return `${createHash('md5').update(serializeTree(entries)).digest('hex')}.dir`
}

async function act(bench: Bench, step: { do: string; slot: number; content: number }, first: { digest?: string }): Promise<void> {
  const kind = step.slot === 0 ? 'data' : 'stage'
  if (step.do === 'look') await bench.workspace.contentOf('data')
  else if (step.do === 'save') first.digest ??= (await bench.workspace.save('data', { ...ADDED, kind })).digest
  else if (step.do === 'check out the first save' && first.digest) {
    await bench.workspace.checkout([{ path: 'data', digest: makeDigest(first.digest.slice(0, 32), { tree: true }), kind }], {
      ...PLAIN,
      force: true,
    })
  } else change(path.join(bench.root, 'data'), step)
}

describe('the stat cache', () => {
  test(
    'never vouches for bytes that are not there, whatever happened to the files in between',
    { timeout: 120_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(aStep, { minLength: 1, maxLength: 12 }), async (steps) => {
          const bench = createBench()
          const root = path.join(bench.root, 'data')
          const first: { digest?: string } = {}
          try {
            mkdirSync(path.join(root, 'sub'), { recursive: true })
            for (const slot of [0, 1, 2]) change(root, { do: 'write', slot, content: slot })
            await bench.workspace.contentOf('data')
            for (const step of steps) {
              await act(bench, step, first)
              expect((await bench.workspace.contentOf('data'))?.digest).toBe(digestByReading(root))
            }
            bench.reopen()
            expect((await bench.workspace.contentOf('data'))?.digest).toBe(digestByReading(root))
          } finally {
            bench.remove()
          }
        }),
        { numRuns: 60 },
      )
    },
  )
})
