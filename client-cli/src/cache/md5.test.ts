import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createMd5, isText, md5OfBytes } from './md5.ts'

const raw = (bytes: Uint8Array | string) => createHash('md5').update(bytes).digest('hex')
const legacy = (bytes: Uint8Array | string) => md5OfBytes(Buffer.from(bytes), { legacy: true })

describe('md5', () => {
  test('hashes raw bytes, whatever the pieces', () => {
    const md5 = createMd5()
    for (const piece of ['a\r', '\nb', '\r\n']) md5.update(Buffer.from(piece))
    expect(md5.digest()).toBe('59b0d7772f0561efb95518f3cb8abc60')
  })
})

describe('md5 of DVC 0.x to 2.x', () => {
  test('counts CRLF as LF in text', () => {
    expect(legacy('a\r\nb\r\n')).toBe('dd8c6a395b5dd36c56d23275028f526c')
    expect(legacy('a\r\r\nb\r')).toBe(raw('a\r\nb\r'))
  })

  test('leaves binary files alone', () => {
    expect(legacy('a\r\n\0')).toBe(raw('a\r\n\0'))
  })

  test('decides text or binary once, by the first 512 bytes', () => {
    const late = `${'a'.repeat(512)}\0\r\n`
    expect(legacy(late)).toBe(raw(late.replace('\r\n', '\n')))
  })

  test('keeps a CRLF that straddles two reads of 1 MiB, however the bytes arrive', () => {
    const text = Buffer.from(`${'a'.repeat((1 << 20) - 1)}\r\nb\r\n`)
    const wanted = raw(`${'a'.repeat((1 << 20) - 1)}\r\nb\n`)
    expect(legacy(text)).toBe(wanted)
    const md5 = createMd5({ legacy: true })
    for (let at = 0; at < text.length; at += 99_991) md5.update(text.subarray(at, at + 99_991))
    expect(md5.digest()).toBe(wanted)
  })

  test('takes an empty file for text and more than 30 % odd bytes for binary', () => {
    expect(legacy('')).toBe('d41d8cd98f00b204e9800998ecf8427e')
    expect(isText(Buffer.from([0x80, 0x80, 0x80, ...Buffer.from('abcdefg')]))).toBe(true)
    expect(isText(Buffer.from([0x80, 0x80, 0x80, 0x80, ...Buffer.from('abcdef')]))).toBe(false)
  })
})
