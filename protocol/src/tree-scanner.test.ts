import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareCodePoints, createTreeReader, isSafePath, parseTree, serializeTree, type TreeEntry } from './tree.ts'
import { createTreeScanner } from './tree-scanner.ts'
import { makeDigest } from './digest.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)
const md5 = fc.stringMatching(/^[0-9a-f]{32}$/)
const segment = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'a-',
    'a.txt',
    '.',
    '..',
    '.git',
    '.dvc',
    '.hidden',
    '',
    'C:',
    'é',
    '\ud83d\ude00',
    '\udc80',
    'q"',
    'b\\',
  ),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
)
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const row = fc.tuple(md5, path).map(([digest, relpath]) => ({ md5: digest, relpath }))

/** What a tree has to be, without regard for speed. */
function parsePlainly(text: string): Array<{ md5: string; relpath: string }> | undefined {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(list)) return undefined
  const rows = list as Array<{ md5: string; relpath: string } | null>
  const paths = new Set<string>()
  for (const each of rows) {
    if (typeof each !== 'object' || each === null) return undefined
    if (!/^[0-9a-f]{32}$/.test(String(each.md5)) || typeof each.relpath !== 'string') return undefined
    if (!isSafePath(each.relpath) || paths.has(each.relpath)) return undefined
    paths.add(each.relpath)
  }
  for (const one of paths) for (const other of paths) if (other.startsWith(`${one}/`)) return undefined
  return rows as Array<{ md5: string; relpath: string }>
}

function readInPieces(bytes: Uint8Array, sizes: readonly number[]): TreeEntry[] | undefined {
  const reader = createTreeReader()
  const chunk = new Uint8Array(64)
  try {
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const size = sizes[turn % sizes.length] ?? 1
      // The same memory each time, as a file is read.
      chunk.fill(0)
      chunk.set(bytes.subarray(at, at + size))
      reader.push(chunk.subarray(0, Math.min(size, bytes.length - at)))
      at += size
    }
    return reader.end()
  } catch (error) {
    expect(error).toMatchObject({ code: 'BAD_TREE' })
    return undefined
  }
}

/** Writes the rows as dvc does, or as other writers of JSON might. */
const written = fc
  .record({
    rows: fc.array(row, { maxLength: 6 }),
    sorted: fc.boolean(),
    spaced: fc.constantFrom('dvc', 'compact', 'indented'),
    ascii: fc.boolean(),
    swapped: fc.boolean(),
    extra: fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined }),
  })
  .map(({ rows, sorted, spaced, ascii, swapped, extra }) => {
    const list = sorted ? rows.toSorted((a, b) => compareCodePoints(a.relpath, b.relpath)) : rows
    if (spaced === 'dvc' && ascii && !swapped && extra === undefined) {
      const items = list.map(
        (each) => `{"md5": ${JSON.stringify(each.md5)}, "relpath": ${toAscii(JSON.stringify(each.relpath))}}`,
      )
      return `[${items.join(', ')}]`
    }
    const shaped = list.map((each) => ({
      ...(swapped ? { relpath: each.relpath, md5: each.md5 } : each),
      ...(extra !== undefined && { size: extra }),
    }))
    const text = JSON.stringify(shaped, undefined, spaced === 'indented' ? 1 : undefined)
    return ascii ? toAscii(text) : text
  })

const toAscii = (text: string) =>
  text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

const sizes = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 5 })

describe('reading a tree in pieces', () => {
  test('takes and refuses the same as parsing it plainly, however it is written and cut', () => {
    fc.assert(
      fc.property(written, sizes, (text, cuts) => {
        const expected = parsePlainly(text)?.map((each) => ({ path: each.relpath, digest: each.md5 }))
        expect(readInPieces(bytesOf(text), cuts)).toEqual(expected)
      }),
      { numRuns: 1000 },
    )
  })

  test('takes and refuses the same when bytes were changed or are missing', () => {
    const change = fc.tuple(
      fc.nat(),
      fc.constantFrom('', '"', '[', ']', '{', '}', ',', ' ', '\\', '\0', '0', '/', '.', 'é'),
      fc.nat(3),
    )
    fc.assert(
      fc.property(written, change, sizes, (text, [at, instead, length], cuts) => {
        const from = at % text.length
        const changed = text.slice(0, from) + instead + text.slice(from + length)
        fc.pre(changed.isWellFormed())
        const expected = parsePlainly(changed)?.map((each) => ({ path: each.relpath, digest: each.md5 }))
        expect(readInPieces(bytesOf(changed), cuts)).toEqual(expected)
      }),
      { numRuns: 1000 },
    )
  })

  test('finds a file that is also a folder, though others stand between the two', () => {
    const tree = (paths: string[]) =>
      bytesOf(`[${paths.map((each) => `{"md5": "${'0'.repeat(32)}", "relpath": "${each}"}`).join(', ')}]`)
    expect(() => parseTree(tree(['a', 'a-', 'a-b', 'a.txt', 'a/b']))).toThrow('as a file and as a folder')
    expect(() => parseTree(tree(['b', 'a/b', 'a']))).toThrow('as a file and as a folder')
    expect(() => parseTree(tree(['a', 'b', 'a']))).toThrow('twice')
    expect(parseTree(tree(['a-', 'a-b', 'a-b.c', 'a.txt', 'a/b', 'ab/c']))).toHaveLength(6)
  })

  test('tells whether the paths came in order, and gives each md5 as bytes', () => {
    const entries = ['b', 'a'].map((each) => ({ path: each, digest: makeDigest('0123456789abcdef'.repeat(2)) }))
    const seen: string[] = []
    const md5s = new Uint8Array(16)
    const scan = (bytes: Uint8Array) => {
      const scanner = createTreeScanner((entry) => {
        entry.copyMd5(md5s, 0)
        seen.push(`${entry.md5()} ${entry.path()} ${Buffer.from(md5s).toString('hex')}`)
      })
      scanner.push(bytes)
      return scanner.end()
    }
    const hex = '0123456789abcdef'.repeat(2)
    expect(scan(serializeTree(entries))).toEqual({ entries: 2, sorted: true })
    expect(scan(bytesOf(`[{"relpath":"b","md5":"${hex}"},{"relpath":"a","md5":"${hex}"}]`))).toEqual({
      entries: 2,
      sorted: false,
    })
    expect(seen).toEqual([`${hex} a ${hex}`, `${hex} b ${hex}`, `${hex} b ${hex}`, `${hex} a ${hex}`])
  })

  test('refuses an entry without an end before it has filled the memory', () => {
    const scanner = createTreeScanner(() => undefined)
    scanner.push(bytesOf('[{"md5": "'))
    expect(() => {
      for (let count = 0; count < 40; count++) scanner.push(bytesOf('0'.repeat(64 * 1024)))
    }).toThrow('longer than')
  })
})
