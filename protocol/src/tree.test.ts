import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeDigest } from './digest.ts'
import { isSafePath, parseTree, serializeTree, type TreeEntry } from './tree.ts'

const entry = (path: string, md5 = 'd41d8cd98f00b204e9800998ecf8427e'): TreeEntry => ({ path, digest: makeDigest(md5) })
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const parse = (json: string) => parseTree(new TextEncoder().encode(json))

describe('a tree', () => {
  test('is written as dvc writes it, so that its md5 is the directory hash', () => {
    const bytes = serializeTree([
      entry('sub/ünï "q".txt', '401b30e3b8b5d629635a5c613cdb7919'),
      entry('crlf.txt', '59b0d7772f0561efb95518f3cb8abc60'),
    ])
    expect(text(bytes)).toBe(
      '[{"md5": "59b0d7772f0561efb95518f3cb8abc60", "relpath": "crlf.txt"}, {"md5": "401b30e3b8b5d629635a5c613cdb7919", "relpath": "sub/\\u00fcn\\u00ef \\"q\\".txt"}]',
    )
    expect(createHash('md5').update(serializeTree([])).digest('hex')).toBe('d751713988987e9331980363e24189ce')
  })

  test('sorts by code point, not by UTF-16 unit', () => {
    const paths = ['\u{1f600}', '\ufffd', 'z', 'tab\tq', 'a\u007fb']
    expect(parseTree(serializeTree(paths.map((path) => entry(path)))).map((row) => row.path)).toEqual(paths.toReversed())
  })

  test('comes back from its bytes, for any safe paths', () => {
    const paths = fc.uniqueArray(
      fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    )
    fc.assert(
      fc.property(paths, (list) => {
        const safe = list.filter((path) => isSafePath(path) && path.isWellFormed()).map((path) => entry(path))
        const overlapping = safe.some((a) => safe.some((b) => b.path.startsWith(`${a.path}/`)))
        fc.pre(!overlapping)
        expect(new Set(parseTree(serializeTree(safe)).map((row) => row.path))).toEqual(new Set(safe.map((row) => row.path)))
      }),
    )
  })

  test.each([
    ['../up', 'unsafe'],
    ['/etc/passwd', 'unsafe'],
    ['a/../../b', 'unsafe'],
    ['a//b', 'unsafe'],
    ['', 'unsafe'],
    ['C:\\x', 'unsafe'],
    ['.git/hooks/pre-commit', 'unsafe'],
    ['nul\\u0000', 'unsafe'],
  ])('with the path %j is refused', (path, reason) => {
    expect(() =>
      parse(
        `[{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "${path.replaceAll('\\', '\\\\').replace('\\\\u0000', '\\u0000')}"}]`,
      ),
    ).toThrow(reason)
  })

  test('that names a path twice, or a file as a folder, is refused', () => {
    const row = (path: string) => `{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "${path}"}`
    expect(() => parse(`[${row('a')}, ${row('a')}]`)).toThrow('twice')
    expect(() => parse(`[${row('a/b/c')}, ${row('a/b')}]`)).toThrow('as a file and as a folder')
  })

  test('that is not a list of md5 and relpath is refused', () => {
    for (const json of ['', '{}', '[1]', '[{"md5": "x", "relpath": "a"}]', '[{"relpath": "a"}]', '[', 'null'])
      expect(() => parse(json)).toThrow()
  })
})
