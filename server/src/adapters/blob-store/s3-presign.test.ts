import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { directAccess, presign, signature } from './s3-presign.ts'

/** The account and the day of Amazon's published examples. */
const EXAMPLE = {
  region: 'us-east-1',
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const at = new Date('2013-05-24T00:00:00Z')
const host = 'examplebucket.s3.amazonaws.com'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const signedWith = (headers: Record<string, string>, payload: string) => ({
  headers: { ...headers, host, 'x-amz-content-sha256': payload, 'x-amz-date': '20130524T000000Z' },
  payload,
  at,
})

describe("Amazon's published signatures", () => {
  test('a presigned GET', () => {
    const url = presign({ method: 'GET', url: `https://${host}/test.txt`, headers: {}, expires: 86_400, at }, EXAMPLE)
    expect(url).toBe(
      'https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256' +
        '&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z' +
        '&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
        '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    )
  })

  test('a GET with a Range that is signed', () => {
    const request = { method: 'GET', path: '/test.txt', query: {}, ...signedWith({ range: 'bytes=0-9' }, sha256('')) }
    expect(signature(request, EXAMPLE)).toBe('f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41')
  })

  test('a PUT with headers of its own', () => {
    const headers = { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }
    const signed = signedWith(headers, sha256('Welcome to Amazon S3.'))
    const request = { method: 'PUT', path: '/test%24file.text', query: {}, ...signed }
    expect(signature(request, EXAMPLE)).toBe('98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd')
  })

  test('a GET with a query', () => {
    const query = { 'max-keys': '2', prefix: 'J' }
    const request = { method: 'GET', path: '/', query, ...signedWith({}, sha256('')) }
    expect(signature(request, EXAMPLE)).toBe('34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7')
  })
})

describe('direct access', () => {
  const place = { ...EXAMPLE, endpoint: 'https://s3.example.com:9000/', bucket: 'blobs' }
  const direct = directAccess(place, () => at)
  const bytes = {
    md5: createHash('md5').update('cairn').digest(),
    sha256: createHash('sha256').update('cairn').digest(),
    size: 5,
  }

  test('binds an upload to the bytes: md5, sha256 and length are signed, and change the signature', () => {
    const { url, headers } = direct.put('1/objects/ab/c', { ...bytes, expires: 60 })
    expect(new URL(url).searchParams.get('X-Amz-SignedHeaders')).toBe('content-length;content-md5;host;x-amz-checksum-sha256')
    expect(headers).toEqual({
      'content-md5': bytes.md5.toString('base64'),
      'x-amz-checksum-sha256': bytes.sha256.toString('base64'),
    })
    const others = [
      direct.put('1/objects/ab/d', { ...bytes, expires: 60 }),
      direct.put('1/objects/ab/c', { ...bytes, expires: 61 }),
      direct.put('1/objects/ab/c', { ...bytes, size: 6, expires: 60 }),
      direct.put('1/objects/ab/c', { ...bytes, md5: Buffer.alloc(16), expires: 60 }),
      direct.put('1/objects/ab/c', { ...bytes, sha256: Buffer.alloc(32), expires: 60 }),
    ]
    const signatures = [url, ...others.map((other) => other.url)].map((one) => new URL(one).searchParams.get('X-Amz-Signature'))
    expect(new Set(signatures).size).toBe(6)
  })

  test('names the bucket in the path, at the address that clients use', () => {
    expect(direct.get('1/objects/ab/c', { expires: 60 })).toMatch(/^https:\/\/s3\.example\.com:9000\/blobs\/1\/objects\/ab\/c\?/)
  })

  test('signs nothing but keys of blobs', () => {
    expect(() => direct.get('../other-bucket/x', { expires: 60 })).toThrow('not a blob key')
  })
})
