import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createHashThreads } from '../../server/src/adapters/hash-thread.ts'
import { BLOCK_BYTES, inBlocks } from '../../server/src/domain/blocks.ts'

const hex = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest('hex')
const both = (bytes: Uint8Array) => ({ md5: hex('md5', bytes), sha256: hex('sha256', bytes) })
const shown = ({ md5, sha256 }: { md5: string; sha256: Uint8Array }) => ({ md5, sha256: Buffer.from(sha256).toString('hex') })

async function* cut(bytes: Uint8Array, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield await Promise.resolve(Uint8Array.from(bytes.subarray(at, at + length)))
}

test('several hashes at once come out right, although their blocks are used again', async () => {
  const hashBeside = createHashThreads()
  const results = await Promise.all(
    Array.from({ length: 5 }, async (_, seed) => {
      const bytes = randomBytes(5 * BLOCK_BYTES + seed * 1000)
      const hash = hashBeside()
      for await (const block of inBlocks(cut(bytes, 10_000 + seed * 100_000))) await hash.update(block)
      return { found: shown(await hash.finish()), wanted: both(bytes) }
    }),
  )
  for (const { found, wanted } of results) expect(found).toEqual(wanted)
})

test('of nothing it is that of nothing, and one that is closed does not disturb the others', async () => {
  const hashBeside = createHashThreads()
  const [empty, left, other] = [hashBeside(), hashBeside(), hashBeside()]
  await left.update(Buffer.from('left'))
  left.close()
  await other.update(Buffer.from('other'))
  expect(shown(await empty.finish())).toEqual(both(Buffer.alloc(0)))
  expect(shown(await other.finish())).toEqual(both(Buffer.from('other')))
})

test('a copy goes on from where the first was, and neither disturbs the other', async () => {
  const first = createHashThreads()()
  await first.update(Buffer.from('one '))
  const copy = first.copy()
  await first.update(Buffer.from('and this'))
  await copy.update(Buffer.from('and that'))
  first.close()
  const second = copy.copy()
  expect(shown(await copy.finish())).toEqual(both(Buffer.from('one and that')))
  expect(shown(await second.finish())).toEqual(both(Buffer.from('one and that')))
})

test('a thread that dies fails what it had in hand and every copy of it, and what begins later goes well', async () => {
  const hashBeside = createHashThreads()
  const [dying, beside] = [hashBeside(), hashBeside()]
  await beside.update(Buffer.from('one'))
  dying.update({ length: 1 } as Uint8Array).catch(() => undefined)
  await expect(dying.finish()).rejects.toThrow()
  await expect(beside.finish()).rejects.toThrow()
  const copy = dying.copy()
  await expect(copy.update(Buffer.from('more'))).rejects.toThrow()
  await expect(copy.finish()).rejects.toThrow()
  const later = async () => {
    const fresh = hashBeside()
    await fresh.update(Buffer.from('fresh'))
    return shown(await fresh.finish())
  }
  // The two threads do not die at the same moment.
  await expect.poll(() => later().catch(() => undefined), { timeout: 20_000 }).toEqual(both(Buffer.from('fresh')))
})
