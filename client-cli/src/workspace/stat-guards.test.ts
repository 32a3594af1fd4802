import {
  copyFileSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FileStat, probeTimestamps } from '../cache/file-stat.ts'
import { createTableBuilder, openStatCache, rowMatches } from '../cache/stat-cache.ts'
import { openSingleFiles } from './single-files.ts'
import { type Bench, createBench } from './workspace-for-tests.ts'

let bench: Bench
const at = (file: string) => path.join(bench.root, file)
const LARGE = 200_000

beforeEach(async () => {
  bench = createBench()
  for (const file of ['data/a', 'data/sub/b', 'single']) bench.write(file, file[0]?.repeat(LARGE) ?? '')
  // Where the system's clock ticks slowly, files of this very moment are never trusted.
  await sleep(60)
  await look()
  bench.reopen()
})
afterEach(() => bench.remove())

async function look(folder = 'data', single = 'single'): Promise<Array<string | undefined>> {
  return [(await bench.workspace.contentOf(folder))?.digest, (await bench.workspace.contentOf(single))?.digest]
}

/** Bytes that this process has read from files, with every call that looks at both. */
async function bytesToLook(folder?: string): Promise<number> {
  const read = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
  const before = read()
  await look(folder)
  return read() - before
}

/** A change that the next process must see in the folder and in the single file. */
async function expectSeen(change: (file: string) => void): Promise<void> {
  const before = await look()
  for (const file of ['data/a', 'single']) change(at(file))
  bench.reopen()
  const after = await look()
  expect(after.map((digest, index) => digest !== before[index])).toEqual([true, true])
}

describe('what is known of files that did not change is used', () => {
  test('after the repository was renamed', async () => {
    const [before, moved] = [await look(), `${bench.root}-moved`]
    bench.workspace.close()
    renameSync(bench.root, moved)
    symlinkSync(moved, bench.root)
    try {
      bench.reopen()
      expect(await bytesToLook()).toBeLessThan(LARGE / 4)
      expect(await look()).toEqual(before)
    } finally {
      bench.workspace.close()
      unlinkSync(bench.root)
      renameSync(moved, bench.root)
    }
  })

  test('after the folder was renamed', async () => {
    const [before] = await look()
    renameSync(at('data'), at('renamed'))
    bench.reopen()
    expect(await bytesToLook('renamed')).toBeLessThan(LARGE / 4)
    expect((await look('renamed'))[0]).toBe(before)
  })

  test('but not for a folder that only looks like the renamed one: its files are others', async () => {
    renameSync(at('data'), at('renamed'))
    for (const file of ['data/a', 'data/sub/b']) bench.write(file, 'x'.repeat(LARGE))
    bench.reopen()
    const [other] = await look()
    expect(other).not.toBe((await look('renamed'))[0])
    expect((await look('renamed'))[0]).not.toBe(other)
  })
})

describe('a change is seen', () => {
  test('that kept the size', () => expectSeen((file) => writeFileSync(file, 'z'.repeat(LARGE))))

  test('that kept size and mtime, as cp -p into the file does: ctime tells', () =>
    expectSeen((file) => {
      const { atime, mtime } = statSync(file)
      writeFileSync(file, 'z'.repeat(LARGE))
      utimesSync(file, atime, mtime)
    }))

  test('that kept size and mtime of a whole millisecond, as touch -r from a coarse file system does', async () => {
    for (const file of ['data/a', 'single']) utimesSync(at(file), 1_600_000_000, 1_600_000_000)
    await sleep(60)
    await expectSeen((file) => {
      writeFileSync(file, 'z'.repeat(LARGE))
      utimesSync(file, 1_600_000_000, 1_600_000_000)
    })
  })

  test('after which the file looks older than when it was recorded: the clock went back, or git checkout brought an old file', () =>
    expectSeen((file) => {
      writeFileSync(file, 'z'.repeat(LARGE))
      utimesSync(file, new Date('2001-01-01'), new Date('2001-01-01'))
    }))

  test('that put another file of the same size and mtime in the place, as dvc checkout does', () =>
    expectSeen((file) => {
      const { atime, mtime } = statSync(file)
      writeFileSync(`${file}.new`, 'z'.repeat(LARGE))
      utimesSync(`${file}.new`, atime, mtime)
      renameSync(`${file}.new`, file)
    }))

  test('that swapped two files of the same size', async () => {
    bench.write('data/c', 'c'.repeat(LARGE))
    const before = await look()
    renameSync(at('data/a'), at('aside'))
    renameSync(at('data/c'), at('data/a'))
    renameSync(at('aside'), at('data/c'))
    bench.reopen()
    expect((await look())[0]).not.toBe(before[0])
  })

  test('that replaced a file by a copy of what it was and then changed that', () =>
    expectSeen((file) => {
      copyFileSync(file, `${file}.new`)
      renameSync(`${file}.new`, file)
      writeFileSync(file, 'z'.repeat(LARGE))
    }))
})

describe('a row vouches for a file', () => {
  const STAT: FileStat = { mtimeMs: 1e12 + 0.25, ctimeMs: 1e12 + 0.5, size: 3, ino: 7 }
  const others: Array<[string, FileStat]> = [
    ['mtime', { ...STAT, mtimeMs: STAT.mtimeMs - 1 }],
    ['ctime', { ...STAT, ctimeMs: STAT.ctimeMs + 0.25 }],
    ['size', { ...STAT, size: 4 }],
    ['inode', { ...STAT, ino: 8 }],
  ]

  test.each(others)('only while its %s is the same', (_, other) => {
    const rows = createTableBuilder()
    rows.add('a', STAT)
    const table = rows.table(undefined, 0)
    expect([rowMatches(table, 0, STAT), rowMatches(table, 0, other)]).toEqual([true, false])
    const singles = openSingleFiles({ load: () => undefined, save: () => undefined, forget: () => undefined })
    singles.set('a', 'a'.repeat(32) as never, false, STAT)
    expect([singles.find('a', false, STAT) !== undefined, singles.find('a', false, other)]).toEqual([true, undefined])
  })

  test('never when it was recorded in the same tick in which the file was written', () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-tick-'))
    try {
      const timestamps = probeTimestamps(dir)
      const now = Date.now()
      const elsewhere = lstatSync(dir).dev + 1
      const stat = (mtimeMs: number, ctimeMs = mtimeMs) => ({ mtimeMs, ctimeMs })
      // A device that was not tried counts as one whose clock steps two seconds.
      expect(timestamps.settled(stat(now - 1_000.5), elsewhere, now)).toBe(false)
      expect(timestamps.settled(stat(now - 1_000.5, now - 5_000), elsewhere, now)).toBe(false)
      expect(timestamps.settled(stat(now - 5_000, now - 1_000.5), elsewhere, now)).toBe(false)
      expect(timestamps.settled(stat(now - 60_000), elsewhere, now)).toBe(true)
      // From the future: the clock went back since, and may come to that moment once more.
      expect(timestamps.settled(stat(now + 60_000), elsewhere, now)).toBe(false)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  test('never after it was distrusted, also when it was written out and read again', () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-rows-'))
    try {
      const cache = openStatCache(path.join(dir, 'stat'))
      const rows = createTableBuilder()
      rows.add('a', STAT)
      rows.distrust(0)
      cache.save({ path: 'data', legacy: false }, rows.table(undefined, 3))
      const table = cache.load({ path: 'data', legacy: false })
      expect(table && rowMatches(table, 0, STAT)).toBe(false)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

describe('where files can change without a new timestamp', () => {
  test('a file of this very moment is read again, one that has rested is not', async () => {
    const coarse = createBench({ timestamps: { fine: false, settled: (stat, _, readAt) => stat.mtimeMs < readAt - 2_000 } })
    try {
      coarse.write('data/a', 'a'.repeat(LARGE))
      const before = await coarse.workspace.contentOf('data')
      coarse.reopen()
      const table = openStatCache(path.join(coarse.root, '.dvc/tmp/cairn/stat')).load({ path: 'data', legacy: false })
      expect(table?.tree).toBe(before?.digest)
      expect(table && rowMatches(table, 0, lstatSync(path.join(coarse.root, 'data/a')))).toBe(false)
    } finally {
      coarse.remove()
    }
  })
})
