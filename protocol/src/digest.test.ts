import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOfPath, isDigest, makeDigest, objectPath, packDigests, parseDigest, unpackDigests } from './digest.ts'

const md5 = fc.stringMatching(/^[0-9a-f]{32}$/)
const digests = fc.record({ md5, tree: fc.boolean(), legacy: fc.boolean() }).map(({ md5: hex, ...kind }) => makeDigest(hex, kind))

describe('a digest', () => {
  test('packs to 17 bytes and comes back, for every kind', () => {
    fc.assert(
      fc.property(fc.array(digests), (list) => {
        expect(unpackDigests(packDigests(list))).toEqual(list)
      }),
    )
  })

  test('maps to its path in a cache and back', () => {
    fc.assert(
      fc.property(digests, (digest) => {
        expect(digestOfPath(objectPath(digest))).toBe(digest)
      }),
    )
    expect(objectPath(parseDigest('d3b07384d113edec49eaa6238ad5ff00'))).toBe('files/md5/d3/b07384d113edec49eaa6238ad5ff00')
    expect(objectPath(parseDigest('legacy-c900457a54386b2fe4f92546db792811.dir'))).toBe('c9/00457a54386b2fe4f92546db792811.dir')
  })

  test('is refused in any other shape', () => {
    for (const text of [
      '',
      'D3B07384D113EDEC49EAA6238AD5FF00',
      '../../etc/passwd',
      'd3b07384d113edec49eaa6238ad5ff0',
      'd3b07384d113edec49eaa6238ad5ff00.DIR',
      'd3b07384d113edec49eaa6238ad5ff00\n',
    ]) {
      expect(isDigest(text)).toBe(false)
    }
    expect(() => unpackDigests(new Uint8Array(16))).toThrow(/multiple of 17/)
    expect(() => unpackDigests(new Uint8Array(17).fill(9))).toThrow(/kind byte 9/)
  })
})
