import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CAIRN, createWorkstation, folderDigest, run, type Running, type Workstation } from '../rig/project.ts'

let here: Workstation
let started: ChildProcess[] = []
const file = (name: string) => path.join(here.dir, name)

beforeEach(async () => {
  started = []
  here = createWorkstation()
  here.git('init', '--quiet')
  await here.cairn('init')
})
afterEach(() => {
  for (const child of started) child.kill('SIGKILL')
  here.remove()
})

function writeMany(folder: string, count: number, bytes: number): void {
  mkdirSync(file(folder), { recursive: true })
  for (let index = 0; index < count; index++) writeFileSync(file(`${folder}/${index}`), Buffer.alloc(bytes, `${index} `))
}

/** Every object of the cache whose bytes are not those of its name. */
function wrongObjects(): string[] {
  const root = file('.dvc/cache/files/md5')
  if (!existsSync(root)) return []
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((object) => {
      const md5 = createHash('md5').update(readFileSync(object)).digest('hex')
      return path.basename(path.dirname(object)) + path.basename(object).replace('.dir', '') !== md5
    })
}

function start(...args: string[]): Running {
  const running = here.start(...args)
  started.push(running.child)
  return running
}

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0

describe('adding', () => {
  test.skipIf(!canMount)('on a full disk ends in one clear line, leaves no half object and loses nothing', async () => {
    writeMany('data', 40, 100_000)
    const before = folderDigest(file('data'))
    mkdirSync(file('.dvc/cache'))
    // A small disk that only this command sees.
    const inside = `mount -t tmpfs -o size=1m tmpfs .dvc/cache && { ${CAIRN} add data; code=$?; find .dvc/cache -type f ! -perm 444; exit $code; }`
    const done = await run('unshare', ['-rm', 'sh', '-c', inside], { cwd: here.dir, env: here.env })
    expect(done.code).toBe(1)
    expect(done.stderr).toMatch(/^ERROR: no space is left on the device of '.*\.dvc\/cache'/m)
    expect(done.stdout).toBe('')
    expect(folderDigest(file('data'))).toBe(before)
    expect(existsSync(file('data.dvc'))).toBe(false)
    expect(readdirSync(file('.dvc/tmp/cairn')).includes('incoming') ? readdirSync(file('.dvc/tmp/cairn/incoming')) : []).toEqual(
      [],
    )
    await here.cairn('add', 'data')
    expect(wrongObjects()).toEqual([])
  })

  test('a file that is being written never gets its bytes under a wrong digest', async () => {
    mkdirSync(file('data'))
    writeFileSync(file('data/large'), Buffer.alloc(3 << 20, 'a'))
    writeFileSync(file('data/small'), 'a')
    const writer = spawn('sh', ['-c', 'while :; do echo more >> data/large; echo more >> data/small; done'], { cwd: here.dir })
    started.push(writer)
    for (let round = 0; round < 4; round++) {
      const done = await here.tryCairn('add', 'data')
      if (done.code !== 0) expect(done.stderr).toMatch(/changed while it was being added/)
      expect(wrongObjects()).toEqual([])
    }
    writer.kill('SIGKILL')
    await sleep(50)
    await here.cairn('add', 'data')
    expect((await here.cairn('status')).stdout).toContain('up to date')
    expect(wrongObjects()).toEqual([])
  })

  test('killed at any moment loses nothing, and the next run completes', { timeout: 60_000 }, async () => {
    writeMany('data', 1_500, 2_000)
    writeFileSync(file('data/large'), Buffer.alloc(20 << 20, 'x'))
    const before = folderDigest(file('data'))
    for (const wait of [60, 120, 180, 260, 350]) {
      const { child, ended } = start('add', 'data')
      await sleep(wait)
      child.kill('SIGKILL')
      await ended
      expect(folderDigest(file('data'))).toBe(before)
      expect(wrongObjects()).toEqual([])
    }
    await here.cairn('add', 'data')
    rmSync(file('data'), { recursive: true })
    await here.cairn('checkout')
    expect(folderDigest(file('data'))).toBe(before)
  })

  test('interrupted ends with 252 and leaves no drafts', async () => {
    writeMany('data', 3_000, 3_000)
    const { child, ended } = start('add', 'data')
    await waitFor(() => existsSync(file('.dvc/tmp/cairn/incoming')))
    child.kill('SIGINT')
    expect([252, 0]).toContain(await ended)
    expect(readdirSync(file('.dvc/tmp/cairn/incoming'))).toEqual([])
    expect(wrongObjects()).toEqual([])
  })

  test('two at once of overlapping content both succeed or wait for each other', async () => {
    writeMany('one', 300, 1_000)
    writeMany('two', 300, 1_000)
    const codes = await Promise.all([start('add', 'one').ended, start('add', 'two').ended])
    expect(codes).toEqual([0, 0])
    expect(wrongObjects()).toEqual([])
    expect((await here.cairn('status')).stdout).toContain('up to date')
  })
})

describe('checking out', () => {
  test('killed at any moment leaves whole files only, and the next run completes', { timeout: 60_000 }, async () => {
    writeMany('data', 2_000, 2_000)
    await here.cairn('add', 'data')
    const before = folderDigest(file('data'))
    for (const wait of [60, 120, 180, 260]) {
      rmSync(file('data'), { recursive: true, force: true })
      const { child, ended } = start('checkout')
      await sleep(wait)
      child.kill('SIGKILL')
      await ended
      expect([undefined, before]).toContain(folderDigest(file('data')))
    }
    await here.cairn('checkout')
    expect(folderDigest(file('data'))).toBe(before)
  })

  test(
    'interrupted in the middle of many files or of a large one ends with 252 and leaves nothing half done',
    { timeout: 60_000 },
    async () => {
      writeMany('data', 1_500, 2_000)
      writeFileSync(file('large'), Buffer.alloc(80 << 20, 'x'))
      await here.cairn('add', 'data', 'large')
      const before = folderDigest(file('data'))
      for (const wait of [0, 60]) {
        rmSync(file('data'), { recursive: true, force: true })
        rmSync(file('large'), { force: true })
        const { child, ended } = start('checkout')
        await waitFor(() => existsSync(file('.dvc/tmp/cairn/work')))
        await sleep(wait)
        child.kill('SIGINT')
        // null: it was over, and Node no longer listened.
        expect([252, 0, null]).toContain(await ended)
        expect([undefined, before]).toContain(folderDigest(file('data')))
        expect([undefined, 80 << 20]).toContain(statSync(file('large'), { throwIfNoEntry: false })?.size)
        expect(readdirSync(file('.dvc/tmp/cairn/work'))).toEqual([])
      }
      await here.cairn('checkout')
      expect(folderDigest(file('data'))).toBe(before)
    },
  )

  test.skipIf(!canMount)('onto a full disk ends in one clear line and leaves what was there', async () => {
    writeMany('deep/data', 40, 100_000)
    await here.cairn('add', 'deep/data')
    const inside = `cp deep/*.dvc deep/.gitignore .dvc/tmp/ && mount -t tmpfs -o size=1m tmpfs deep && cp .dvc/tmp/data.dvc deep/ && ${CAIRN} checkout; code=$?; ls -A deep; exit $code`
    const done = await run('unshare', ['-rm', 'sh', '-c', inside], { cwd: here.dir, env: here.env })
    expect([done.code, done.stdout.trim().split('\n')]).toEqual([1, ['data.dvc']])
    expect(done.stderr).toMatch(/^ERROR: no space is left on the device/m)
  })
})

describe('a cache that went bad', () => {
  const objects = () =>
    readdirSync(file('.dvc/cache/files/md5'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.dir'))
      .map((entry) => path.join(entry.parentPath, entry.name))

  test('is never put into the workspace: flipped, cut or emptied objects are named, and re-adding heals', async () => {
    const damage = {
      flipped: (object: string) =>
        writeFileSync(
          object,
          readFileSync(object).map((byte) => byte ^ 1),
        ),
      cut: (object: string) => truncateSync(object, 10),
      emptied: (object: string) => truncateSync(object, 0),
    }
    for (const [how, spoil] of Object.entries(damage)) {
      writeFileSync(file('model'), `weights, ${how}, long enough to be cut`)
      await here.cairn('add', 'model')
      const good = readFileSync(file('model'))
      const [object = ''] = objects().filter((each) => readFileSync(each).equals(good))
      const times = statSync(object)
      chmodSync(object, 0o644)
      spoil(object)
      execFileSync('touch', ['-d', times.mtime.toISOString(), object])
      chmodSync(object, 0o444)
      renameSync(file('model'), file('good'))
      const done = await here.tryCairn('checkout')
      expect([done.code, done.stderr]).toEqual([255, expect.stringContaining('Checkout failed for following targets:\nmodel')])
      expect(existsSync(file('model'))).toBe(false)
      renameSync(file('good'), file('model'))
      await here.cairn('add', 'model')
      rmSync(file('model'))
      await here.cairn('checkout')
      expect(readFileSync(file('model')).equals(good)).toBe(true)
    }
  })

  test('torn records of stats and links cost time, not truth', async () => {
    writeFileSync(file('model'), 'weights')
    await here.cairn('add', 'model')
    appendFileSync(file('.dvc/tmp/cairn/objects'), 'torn')
    writeFileSync(file('.dvc/tmp/cairn/links'), '\0\0 torn')
    for (const table of readdirSync(file('.dvc/tmp/cairn/stat'))) truncateSync(file(`.dvc/tmp/cairn/stat/${table}`), 20)
    expect((await here.cairn('status')).stdout).toContain('up to date')
  })
})

async function waitFor(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isTrue(); tries++) await sleep(10)
}
