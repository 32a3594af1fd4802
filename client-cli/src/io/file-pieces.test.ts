import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { isCode } from '@cairn/protocol/error'
import { filePieces } from './file-pieces.ts'

const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-pieces-'))
const file = path.join(dir, 'file')
writeFileSync(file, Buffer.alloc(10_000, 7))
afterAll(() => rmSync(dir, { recursive: true }))

const isOpen = (): boolean =>
  readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file
    } catch (error) {
      if (isCode(error, 'ENOENT')) return false
      throw error
    }
  })

test('a file comes whole, in pieces', async () => {
  const pieces: Buffer[] = []
  for await (const piece of filePieces(file, 4096)) pieces.push(piece)
  expect(pieces.map((piece) => piece.length)).toEqual([4096, 4096, 1808])
})

test('a file that is gone and never read is no error', async () => {
  filePieces(path.join(dir, 'gone'), 4096)
  await setTimeout(50)
})

test('a file that is gone is an error to who reads it', async () => {
  await expect(filePieces(path.join(dir, 'gone'), 4096).next()).rejects.toMatchObject({ code: 'ENOENT' })
})

test.runIf(process.platform === 'linux')('a reader that stops early leaves nothing open', async () => {
  for await (const piece of filePieces(file, 4096)) {
    expect(piece).toHaveLength(4096)
    expect(isOpen()).toBe(true)
    break
  }
  await expect.poll(isOpen).toBe(false)
})
