import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeDigest } from '@cairn/protocol/digest'
import { isText } from './dos2unix.ts'
import { hasDigest, measureBytes, verifyStored, verifyStream } from './verify-stream.ts'

const md5 = (bytes: Uint8Array | string) => createHash('md5').update(bytes).digest('hex')
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()
async function* chunks(...parts: Array<Uint8Array | string>) {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part))
}
/** What comes out before an error, and the error's code. */
async function drain(bytes: AsyncIterable<Uint8Array>): Promise<{ passed: string; code?: unknown }> {
  let passed = ''
  try {
    for await (const chunk of bytes) passed += Buffer.from(chunk).toString('latin1')
    return { passed }
  } catch (error) {
    return { passed, code: (error as { code?: unknown }).code }
  }
}

describe('what is received', () => {
  test('right bytes pass unchanged, however they are cut, and are measured', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 50 })), async (parts) => {
        const whole = Buffer.concat(parts)
        const verified = verifyStream(chunks(...parts), { digest: makeDigest(md5(whole)), limit: 10_000 })
        expect(await drain(verified.bytes)).toEqual({ passed: whole.toString('latin1') })
        expect(verified.measured()).toMatchObject({ md5: md5(whole), size: whole.length })
        expect(Buffer.from(verified.measured().sha256)).toEqual(sha256(whole))
      }),
    )
  })

  test('the end of wrong bytes is never given away', async () => {
    const verified = verifyStream(chunks('one ', 'two ', 'three'), { digest: makeDigest(md5('something else')), limit: 100 })
    expect(await drain(verified.bytes)).toEqual({ passed: 'one two ', code: 'DIGEST_MISMATCH' })
    expect(() => verified.measured()).toThrow()
  })

  test('more bytes than the limit are refused as they come', async () => {
    const verified = verifyStream(chunks('12345', '67890', 'x'), { limit: 10 })
    expect(await drain(verified.bytes)).toEqual({ passed: '12345', code: 'BODY_TOO_LARGE' })
  })
})

describe('what is stored', () => {
  const wanted = { digest: makeDigest(md5('stored bytes')), size: 12, sha256: sha256('stored bytes') }

  test('intact bytes pass', async () => {
    expect(await drain(verifyStored(chunks('stored ', 'bytes'), wanted))).toEqual({ passed: 'stored bytes' })
  })

  test.each([
    ['changed', ['stored ', 'Bytes']],
    ['short', ['stored ', 'byte']],
    ['long', ['stored ', 'bytes', '!']],
    ['empty', []],
  ])('%s bytes never come to their end', async (_name, parts) => {
    const { passed, code } = await drain(verifyStored(chunks(...parts), wanted))
    expect([code, passed.length < Math.max(1, parts.join('').length)]).toEqual(['OBJECT_DAMAGED', true])
  })
})

describe('the old rule for texts', () => {
  const legacyOf = (bytes: Uint8Array | string) => measureBytes(Buffer.from(bytes), { legacy: true }).legacyMd5

  test('CRLF counts as LF in a text, and a lone CR as itself', () => {
    expect(legacyOf('a\r\nb\r\n')).toBe('dd8c6a395b5dd36c56d23275028f526c')
    expect(legacyOf('a\rb\r')).toBe(md5('a\rb\r'))
    expect(legacyOf('')).toBe(md5(''))
  })

  test('a file with a NUL at its start, or mostly strange bytes, is taken as it is', () => {
    expect(legacyOf('\0a\r\n')).toBe(md5('\0a\r\n'))
    const strange = Buffer.concat([Buffer.alloc(40, 0xe4), Buffer.from('x'.repeat(60)), Buffer.from('\r\n')])
    expect(legacyOf(strange)).toBe(md5(strange))
    expect(isText(Buffer.concat([Buffer.alloc(30, 0xe4), Buffer.from('x'.repeat(70))]))).toBe(true)
  })

  test('a CRLF across the border of two blocks of 1 MiB stays, as it did in the tools that named the objects', () => {
    const block = 'x'.repeat(1024 * 1024 - 1)
    expect(legacyOf(`${block}\r\nend\r\n`)).toBe(md5(`${block}\r\nend\n`))
  })

  test('text or binary is decided once, by the first bytes', () => {
    const text = `${'line\r\n'.repeat(200_000)}\0\r\n`
    expect(legacyOf(text)).not.toBe(md5(text))
  })

  test('a legacy digest names either form, any other digest only the bytes', () => {
    const measured = measureBytes(Buffer.from('a\r\nb\r\n'), { legacy: true })
    expect(hasDigest(measured, makeDigest(md5('a\nb\n'), { legacy: true }))).toBe(true)
    expect(hasDigest(measured, makeDigest(md5('a\r\nb\r\n'), { legacy: true }))).toBe(true)
    expect(hasDigest(measured, makeDigest(md5('a\nb\n')))).toBe(false)
  })
})
