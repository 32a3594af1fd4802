import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { makeDigest } from '@cairn/protocol/digest'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cutSpans, type Span } from './byte-spans.ts'
import { openReceptions, type Receiving, type Receptions } from './receiving.ts'

let dir: string
let target: string
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-receiving-'))
  target = path.join(dir, 'object')
})
afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))

const open = (): Receptions =>
  openReceptions(path.join(dir, 'cache'), { tmpDir: path.join(dir, 'tmp'), adopt: (draft) => renameSync(draft, target) })
const folder = () => path.join(dir, 'tmp', 'cairn', 'receiving')
const drafts = () => readdirSync(folder())
const digestOf = (bytes: Uint8Array) => makeDigest(createHash('md5').update(bytes).digest('hex'))
const lengthOf = (spans: readonly Span[]) => spans.reduce((sum, span) => sum + span.end - span.start, 0)

describe('an object that comes in pieces', () => {
  test('is the object, in whichever order they come and however often the run ends in between', async () => {
    const order = fc.array(fc.record({ at: fc.nat(), pause: fc.boolean() }), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 1, max: 700 }),
        order,
        async (size, length, steps) => {
          const bytes = randomBytes(size)
          const digest = digestOf(bytes)
          let receiving = open().open(digest, size)
          for (let step = 0; receiving.missing().length > 0; step++) {
            const pieces = cutSpans(receiving.missing(), length)
            const { at, pause } = steps[step] ?? { at: 0, pause: false }
            const { start, end } = pieces[at % pieces.length] ?? { start: 0, end: 0 }
            receiving.writeAt(start, bytes.subarray(start, end))
            if (!pause) continue
            const left = lengthOf(receiving.missing())
            receiving.pause()
            expect(open().standing(digest)).toBe(size)
            receiving = open().open(digest, size)
            expect(lengthOf(receiving.missing())).toBe(left)
          }
          await receiving.finish()
          expect(readFileSync(target).equals(bytes)).toBe(true)
          expect(drafts()).toEqual([])
        },
      ),
      { numRuns: 60 },
    )
  })

  test('whose bytes are wrong is no object, and nothing is left of it', async () => {
    const bytes = randomBytes(1000)
    const receiving = open().open(digestOf(bytes), 1000)
    receiving.writeAt(500, bytes.subarray(500))
    receiving.writeAt(0, randomBytes(500))
    await expect(receiving.finish()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect([existsSync(target), drafts()]).toEqual([false, []])
  })

  test('whose draft was damaged between two runs is not taken for good', async () => {
    const bytes = randomBytes(1000)
    const first = open().open(digestOf(bytes), 1000)
    first.writeAt(0, bytes.subarray(0, 900))
    first.pause()
    const draft = path.join(folder(), drafts().find((name) => !name.endsWith('.json')) ?? '')
    const written = readFileSync(draft)
    written[5] = (written[5] ?? 0) ^ 1
    writeFileSync(draft, written)
    const second = open().open(digestOf(bytes), 1000)
    second.writeAt(900, bytes.subarray(900))
    await expect(second.finish()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })

  test.each(['{', '[]', '{"size":1000,"spans":[[0,2000]]}', '{"size":1000,"spans":[["a",null]]}', '{"size":7,"spans":[]}'])(
    'begins anew when its note is %s',
    (note) => {
      const bytes = randomBytes(1000)
      const first = open().open(digestOf(bytes), 1000)
      first.writeAt(0, bytes.subarray(0, 900))
      first.pause()
      writeFileSync(path.join(folder(), drafts().find((name) => name.endsWith('.json')) ?? ''), note)
      const second = open().open(digestOf(bytes), 1000)
      expect(lengthOf(second.missing())).toBe(1000)
      second.discard()
    },
  )

  test('is left alone while its process lives, and dropped after a week', () => {
    const bytes = randomBytes(1000)
    const digest = digestOf(bytes)
    const first = open().open(digest, 1000)
    first.writeAt(0, bytes.subarray(0, 900))
    first.pause()
    const [draft = '', note = ''] = drafts().toSorted((a, b) => a.length - b.length)
    // The parent of this process lives as long as it.
    renameSync(path.join(folder(), draft), path.join(folder(), `${digest}~${process.ppid}-aaaa`))
    renameSync(path.join(folder(), note), path.join(folder(), `${digest}~${process.ppid}-aaaa.json`))
    expect(open().standing(digest)).toBeUndefined()
    for (const name of drafts()) utimesSync(path.join(folder(), name), 1_000_000_000, 1_000_000_000)
    expect(open().standing(digest)).toBeUndefined()
    expect(drafts()).toEqual([])
  })

  describe('and is large enough to be hashed in a thread beside', () => {
    const size = (64 << 20) + 12_345
    const bytes = randomBytes(size)
    const digest = digestOf(bytes)
    const write = (receiving: Receiving, spans: readonly Span[]) => {
      for (const { start, end } of cutSpans(spans, 4 << 20)) receiving.writeAt(start, bytes.subarray(start, end))
    }

    test('is the object when its pieces came out of order and in two runs', async () => {
      const first = open().open(digest, size)
      write(first, [{ start: 40 << 20, end: 50 << 20 }])
      write(first, [{ start: 0, end: 30 << 20 }])
      first.pause()
      const second = open().open(digest, size)
      expect(second.missing()).toEqual([
        { start: 30 << 20, end: 40 << 20 },
        { start: 50 << 20, end: size },
      ])
      write(second, second.missing().toReversed())
      await second.finish()
      expect(readFileSync(target).equals(bytes)).toBe(true)
      expect(drafts()).toEqual([])
    })

    test('is no object when a byte of it is wrong, and leaves nothing when it is given up', async () => {
      const wrong = open().open(digest, size)
      write(wrong, [{ start: 0, end: size - 1 }])
      wrong.writeAt(size - 1, Buffer.from([(bytes[size - 1] ?? 0) ^ 1]))
      await expect(wrong.finish()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect([existsSync(target), drafts()]).toEqual([false, []])
      const given = open().open(digest, size)
      write(given, [{ start: 0, end: 10 << 20 }])
      given.discard()
      expect(drafts()).toEqual([])
    })
  })
})
