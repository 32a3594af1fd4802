import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isTree } from '@cairn/protocol/digest'
import { afterEach, describe, expect, test } from 'vitest'
import { ADDED, type Bench, createBench, MADE } from './workspace-for-tests.ts'

let bench: Bench
afterEach(() => bench.remove())

const stat = (file: string) => lstatSync(path.join(bench.root, file))
const objectOf = async (file: string) => {
  const content = await bench.workspace.contentOf(file)
  if (!content) throw new Error(`${file} is gone`)
  return bench.workspace.cache.pathOf(content.digest)
}

describe('the content of a path', () => {
  test('is undefined where nothing stands', async () => {
    bench = createBench()
    expect(await bench.workspace.contentOf('nothing')).toBeUndefined()
    bench.write('file', 'x')
    expect(await bench.workspace.contentOf('file/below')).toBeUndefined()
  })

  test('of a folder is what dvc makes of the same one', async () => {
    bench = createBench()
    bench.write('data/crlf.txt', 'a\r\nb\r\n')
    bench.write('data/run.sh', '#!/bin/sh\n')
    bench.write('data/sub/ünï "q".txt', 'x\n')
    bench.write('data/zero', '')
    mkdirSync(path.join(bench.root, 'data/empty'))
    symlinkSync('crlf.txt', path.join(bench.root, 'data/link'))
    const content = await bench.workspace.contentOf('data')
    expect(content).toMatchObject({ digest: 'c900457a54386b2fe4f92546db792811.dir', size: 24, nfiles: 5 })
    expect(content?.entries?.map((entry) => entry.path).toSorted()).toEqual([
      'crlf.txt',
      'link',
      'run.sh',
      'sub/ünï "q".txt',
      'zero',
    ])
  })

  test('of an empty folder is the empty tree', async () => {
    bench = createBench()
    mkdirSync(path.join(bench.root, 'data'))
    expect(await bench.workspace.contentOf('data')).toMatchObject({
      digest: 'd751713988987e9331980363e24189ce.dir',
      size: 0,
      nfiles: 0,
    })
  })

  test('of a file says whether it can be executed', async () => {
    bench = createBench()
    bench.write('exe.sh', '#!/bin/sh\n')
    chmodSync(path.join(bench.root, 'exe.sh'), 0o755)
    expect(await bench.workspace.contentOf('exe.sh')).toEqual({
      digest: '3e2b31c72181b87149ff995e7202c0e3',
      size: 10,
      isexec: true,
    })
  })

  test('of old times hashes text with LF', async () => {
    bench = createBench()
    bench.write('crlf.txt', 'a\r\nb\r\n')
    bench.write('data/crlf.txt', 'a\r\nb\r\n')
    expect((await bench.workspace.contentOf('crlf.txt', { legacy: true }))?.digest).toBe(
      'legacy-dd8c6a395b5dd36c56d23275028f526c',
    )
    expect((await bench.workspace.contentOf('crlf.txt'))?.digest).toBe('59b0d7772f0561efb95518f3cb8abc60')
    const tree = await bench.workspace.contentOf('data', { legacy: true })
    expect(tree?.digest).toMatch(/^legacy-[0-9a-f]{32}\.dir$/)
    expect(tree?.entries).toEqual([{ path: 'crlf.txt', digest: 'legacy-dd8c6a395b5dd36c56d23275028f526c' }])
  })

  test('leaves out what .dvcignore says, nested repositories, and their own folders of tools', async () => {
    bench = createBench({ dvcignore: '*.log\n' })
    for (const file of ['a', 'b.log', '.git/x', 'inner/.dvc/config', 'inner/file', 'deep/c']) bench.write(`data/${file}`, file)
    expect((await bench.workspace.contentOf('data'))?.entries?.map((entry) => entry.path)).toEqual(['a', 'deep/c'])
  })

  test('of an ignored folder that something depends on is all of it', async () => {
    bench = createBench({ dvcignore: 'raw\n' })
    bench.write('raw/a', 'a')
    expect(await bench.workspace.contentOf('raw')).toMatchObject({ nfiles: 1 })
  })

  test('refuses a .dvcignore inside, pipes, broken links and names that are not UTF-8, each in words', async () => {
    bench = createBench()
    bench.write('ignore/.dvcignore', '')
    bench.write('pipe/a', '')
    execFileSync('mkfifo', [path.join(bench.root, 'pipe/fifo')])
    bench.write('broken/a', '')
    symlinkSync('nowhere', path.join(bench.root, 'broken/link'))
    bench.write('name/a', '')
    writeFileSync(Buffer.concat([Buffer.from(path.join(bench.root, 'name/')), Buffer.from([0x61, 0xff])]), '')
    await expect(bench.workspace.contentOf('ignore')).rejects.toThrow(/.dvcignore file should not be in collected dir path/)
    await expect(bench.workspace.contentOf('pipe')).rejects.toThrow(/fifo' is a named pipe and cannot be tracked/)
    await expect(bench.workspace.contentOf('broken')).rejects.toMatchObject({
      message: expect.stringMatching(/link' is a broken symlink/),
      exit: 1,
    })
    await expect(bench.workspace.contentOf('name')).rejects.toThrow(/a\\xff': the name is not valid UTF-8/)
  })

  test('is known without reading when nothing changed, also by the next process', async () => {
    bench = createBench()
    bench.write('data/a', 'a'.repeat(100_000))
    bench.write('file', 'f'.repeat(100_000))
    // Where the system's clock ticks slowly, a file of this very moment is read again next time.
    await sleep(60)
    const before = [(await bench.workspace.contentOf('data'))?.digest, (await bench.workspace.contentOf('file'))?.digest]
    bench.reopen()
    const readBefore = bytesRead()
    expect([(await bench.workspace.contentOf('data'))?.digest, (await bench.workspace.contentOf('file'))?.digest]).toEqual(before)
    expect(bytesRead() - readBefore).toBeLessThan(10_000)
  })

  test('is seen to change when only the bytes did: same size, same mtime', async () => {
    bench = createBench()
    bench.write('data/a', 'old')
    bench.write('single', 'old')
    const times = statSync(path.join(bench.root, 'single')).mtime
    for (const file of ['data/a', 'single']) utimesSync(path.join(bench.root, file), times, times)
    const [before, single] = [await bench.workspace.contentOf('data'), await bench.workspace.contentOf('single')]
    for (const file of ['data/a', 'single']) {
      writeFileSync(path.join(bench.root, file), 'new')
      utimesSync(path.join(bench.root, file), times, times)
    }
    bench.reopen()
    expect((await bench.workspace.contentOf('data'))?.digest).not.toBe(before?.digest)
    expect((await bench.workspace.contentOf('single'))?.digest).not.toBe(single?.digest)
  })
})

describe('saving', () => {
  test('keeps a folder’s objects and tree, and leaves the files what they were', async () => {
    bench = createBench()
    bench.write('data/a', 'a')
    bench.write('data/sub/b', 'b')
    const before = [stat('data/a').ino, stat('data/sub/b').mode]
    const content = await bench.workspace.save('data', ADDED)
    expect(isTree(content.digest)).toBe(true)
    expect(bench.workspace.cache.readTree(content.digest)).toEqual(content.entries)
    expect(bench.workspace.cache.missing(content.entries?.map((entry) => entry.digest) ?? [])).toEqual([])
    expect([stat('data/a').ino, stat('data/sub/b').mode]).toEqual(before)
  })

  test('fails in words where nothing stands', async () => {
    bench = createBench()
    await expect(bench.workspace.save('nothing', ADDED)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining("output 'nothing' does not exist"),
    })
  })

  test('replaces a symlink to a file by its content, and warns of a symlink to a folder', async () => {
    bench = createBench()
    bench.write('outside/target', 'content')
    bench.write('data/a', 'a')
    symlinkSync('../outside/target', path.join(bench.root, 'data/file'))
    symlinkSync('../outside', path.join(bench.root, 'data/folder'))
    const content = await bench.workspace.save('data', ADDED)
    expect(content.nfiles).toBe(2)
    expect(stat('data/file').isFile()).toBe(true)
    expect(bench.read('data/file')).toBe('content')
    expect(stat('data/folder').isSymbolicLink()).toBe(true)
    expect(bench.events).toContainEqual({
      type: 'warning',
      text: expect.stringContaining("'data/folder' is a symlink to a folder"),
    })
  })

  test('stores again what the cache lost, though no file changed', async () => {
    bench = createBench()
    bench.write('data/a', 'a')
    const { digest } = await bench.workspace.save('data', ADDED)
    bench.reopen()
    rmSync(path.join(bench.root, '.dvc/cache'), { recursive: true })
    expect((await bench.workspace.save('data', ADDED)).digest).toBe(digest)
    expect(bench.workspace.cache.readTree(digest).every((entry) => bench.workspace.cache.isSound(entry.digest))).toBe(true)
  })

  test('replaces a damaged object by the good file', async () => {
    bench = createBench()
    bench.write('file', 'content')
    const { digest } = await bench.workspace.save('file', ADDED)
    bench.corrupt(bench.workspace.cache.pathOf(digest))
    bench.write('copy', 'content')
    await bench.workspace.save('copy', ADDED)
    expect(readFileSync(bench.workspace.cache.pathOf(digest), 'utf8')).toBe('content')
  })

  test('a stage’s output makes it a read-only hard link of its object, and knows it without reading', async () => {
    bench = createBench()
    bench.write('model/m', 'weights')
    bench.write('model/tool', 'run')
    chmodSync(path.join(bench.root, 'model/tool'), 0o755)
    const { digest } = await bench.workspace.save('model', MADE)
    expect(stat('model/m').ino).toBe(
      statSync(bench.workspace.cache.pathOf((await bench.workspace.contentOf('model'))?.entries?.[0]?.digest ?? digest)).ino,
    )
    expect(stat('model/m').mode & 0o777).toBe(0o444)
    expect(stat('model/tool').mode & 0o111).not.toBe(0)
    bench.reopen()
    expect((await bench.workspace.save('model', MADE)).digest).toBe(digest)
  })

  test('files that have other names of their own stay writable there', async () => {
    bench = createBench({ linkTypes: 'hardlink,copy' })
    bench.write('mine', 'content')
    linkSync(path.join(bench.root, 'mine'), path.join(bench.root, 'added'))
    await bench.workspace.save('added', ADDED)
    expect(stat('mine').mode & 0o200).not.toBe(0)
    appendFileSync(path.join(bench.root, 'mine'), '!')
    expect(bench.workspace.cache.isSound((await bench.workspace.contentOf('added'))?.digest ?? ('' as never))).toBe(true)
    expect(bench.read('added')).toBe('content')
  })

  test('links every configured way, and what has the right kind keeps its inode', async () => {
    for (const type of ['hardlink', 'symlink', 'copy']) {
      bench = createBench({ linkTypes: type })
      bench.write('data/a', 'a')
      await bench.workspace.save('data', ADDED)
      const object = await objectOf('data/a')
      const placed = stat('data/a')
      if (type === 'hardlink') expect(placed.ino).toBe(statSync(object).ino)
      else if (type === 'symlink') expect(readlinkSync(path.join(bench.root, 'data/a'))).toBe(object)
      else expect(placed.isFile() && placed.nlink === 1).toBe(true)
      await bench.workspace.save('data', ADDED)
      expect(stat('data/a').ino).toBe(placed.ino)
      if (type !== 'copy') bench.remove()
    }
  })

  test('without relinking touches no file', async () => {
    bench = createBench({ linkTypes: 'symlink' })
    bench.write('data/a', 'a')
    const before = stat('data/a').ino
    await bench.workspace.save('data', { ...ADDED, relink: false })
    expect(stat('data/a').ino).toBe(before)
  })

  test('large files go in whole through workers, alone or several at once', async () => {
    bench = createBench()
    const block = Buffer.alloc(1 << 20, 7)
    for (const name of ['one', 'two', 'three']) for (let at = 0; at < 24; at++) appendTo(`data/${name}`, block, at)
    bench.write('data/small', 's')
    const { digest, size, entries } = await bench.workspace.save('data', ADDED)
    expect(size).toBe(3 * 24 * (1 << 20) + 1)
    expect(entries).toHaveLength(4)
    bench.reopen()
    rmSync(path.join(bench.root, '.dvc/tmp'), { recursive: true })
    expect(bench.workspace.cache.readTree(digest).every((entry) => bench.workspace.cache.isSound(entry.digest))).toBe(true)
  })

  test('unprotecting gives back a writable file of its own', async () => {
    bench = createBench()
    bench.write('model', 'weights')
    const { digest } = await bench.workspace.save('model', MADE)
    await bench.workspace.unprotect('model')
    expect(stat('model')).toMatchObject({ nlink: 1 })
    appendFileSync(path.join(bench.root, 'model'), '!')
    expect(bench.workspace.cache.isSound(digest)).toBe(true)
    await expect(bench.workspace.unprotect('nothing')).rejects.toThrow(/non-existing/)
  })

  test('nothing of Cairn’s own is left beside the content', async () => {
    bench = createBench({ linkTypes: 'reflink,hardlink,copy' })
    bench.write('data/a', 'a')
    await bench.workspace.save('data', ADDED)
    expect((await bench.workspace.contentOf('data'))?.nfiles).toBe(1)
    expect(existsSync(path.join(bench.root, '.dvc/cache/files/md5/0c'))).toBe(true)
  })
})

function appendTo(file: string, bytes: Buffer, at: number): void {
  const absolute = path.join(bench.root, file)
  mkdirSync(path.dirname(absolute), { recursive: true })
  bytes[0] = at
  bytes[1] = file.length
  appendFileSync(absolute, bytes)
}

/** Bytes that this process has asked the system for. */
const bytesRead = (): number => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? 0)
