import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createHashThread } from '../../server/src/adapters/hash-thread.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('several hashes at once come out right, of whole buffers and of parts of one', async () => {
  const hashBeside = createHashThread()
  const results = await Promise.all(
    Array.from({ length: 5 }, async (_, seed) => {
      const bytes = randomBytes(500_000 + seed * 1000)
      const wanted = sha256(bytes)
      const hash = hashBeside()
      for (let at = 0; at < bytes.length; at += 10_000) {
        const part = bytes.subarray(at, at + 10_000)
        await hash.update(seed % 2 === 0 ? part : Uint8Array.from(part))
      }
      return Buffer.from(await hash.digest()).toString('hex') === wanted
    }),
  )
  expect(results).toEqual([true, true, true, true, true])
})

test('of nothing it is that of nothing, and one that is closed does not disturb the others', async () => {
  const hashBeside = createHashThread()
  const [empty, left, other] = [hashBeside(), hashBeside(), hashBeside()]
  await left.update(Buffer.from('left'))
  left.close()
  await other.update(Buffer.from('other'))
  expect(Buffer.from(await empty.digest()).toString('hex')).toBe(sha256(Buffer.alloc(0)))
  expect(Buffer.from(await other.digest()).toString('hex')).toBe(sha256(Buffer.from('other')))
})
