import { readdirSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Digest, isTree } from '@cairn/protocol/digest'
import type { RunName } from '@cairn/protocol/run-name'
import { localTree, type SourceCache } from '../../client-cli/src/remote/outgoing.ts'
import type { OnObject, Remote } from '../../client-cli/src/remote/remote.ts'
import { randomBlock, seeded } from '../rig/images.ts'
import { createStockedCache, quietly, type StockedCache } from '../rig/stocked-cache.ts'

/** A place that objects can be pushed to. */
export interface RemotePlace {
  /** Opens an empty part of it. Two opens of the same `part` meet the same objects. */
  open(part: string, cache: SourceCache): Promise<Remote>
  /** Changes the stored bytes of an object behind the remote's back. */
  damage(part: string, digest: Digest): Promise<void>
  stop(): Promise<void>
}

/** What push and pull rely on, whatever stands behind a remote's url. */
export function remoteSuite(name: string, start: () => Promise<RemotePlace>): void {
  describe(`a remote: ${name}`, () => {
    let place: RemotePlace
    let part = 0
    let mine: StockedCache
    let theirs: StockedCache
    let remote: Remote
    const opened: Remote[] = []

    beforeAll(async () => {
      place = await start()
    })
    afterAll(() => place?.stop())
    beforeEach(async () => {
      part++
      mine = createStockedCache()
      theirs = createStockedCache()
      remote = await open(mine)
    })
    afterEach(async () => {
      for (const each of opened.splice(0)) await each.close()
      mine.remove()
      theirs.remove()
    })

    const open = async (stocked: StockedCache) => {
      const made = await place.open(`part${part}`, stocked.cache)
      opened.push(made)
      return made
    }
    const push = (digests: readonly Digest[]) =>
      remote.push(
        digests.filter((digest) => isTree(digest)).map((digest) => localTree(mine.cache, digest)),
        digests.filter((digest) => !isTree(digest)),
        quietly(),
      )
    const fetch = async (digests: readonly Digest[]) => {
      const outcomes = new Map<Digest, string>()
      const onObject: OnObject = (digest, outcome) => outcomes.set(digest, outcome)
      const result = await (await open(theirs)).fetch(digests, theirs.cache, { ...quietly(), onObject })
      return { ...result, outcomes }
    }
    const missing = async (...roots: Digest[]) => [...(await remote.findMissing(roots, quietly()))]

    test('a new one lacks everything', async () => {
      const file = mine.file('hello')
      const tree = mine.tree({ 'a.txt': file })
      expect(new Set(await missing(file, tree))).toEqual(new Set([file, tree]))
      expect(await missing()).toEqual([])
    })

    test('the run cache: what was sent is listed and comes back, and what is not there is left out', async () => {
      if (!remote.runs) return
      expect([...(await remote.runs.list(quietly()))]).toEqual([])
      const entries = new Map(
        ['a', 'b', 'c'].map((char) => [`${char.repeat(64)}/${'0'.repeat(64)}` as RunName, `cmd: ${char} é\n`]),
      )
      const gone = `${'d'.repeat(64)}/${'0'.repeat(64)}` as RunName
      const read = (name: RunName) => (name === gone ? undefined : Buffer.from(entries.get(name) ?? ''))
      await remote.runs.send([...entries.keys(), gone], read, quietly())
      const other = await open(theirs)
      expect(await other.runs?.list(quietly())).toEqual(new Set(entries.keys()))
      const came = new Map<RunName, string>()
      await other.runs?.bring(
        [gone, ...entries.keys()],
        (name, entry) => came.set(name, Buffer.from(entry).toString()),
        quietly(),
      )
      expect(came).toEqual(entries)
    })

    test('what was pushed comes back byte for byte, of every kind and size', async () => {
      const files = {
        'empty.txt': mine.file(''),
        'small.txt': mine.file('hello'),
        'large.bin': mine.file(randomBlock(seeded(1), 3 * 1024 * 1024 + 7)),
        'at-the-limit.bin': mine.file(randomBlock(seeded(2), 1024 * 1024)),
      }
      const legacy = mine.file('a\nb\n', { legacy: true })
      const roots = [
        mine.tree(files),
        mine.file('alone'),
        legacy,
        mine.tree({ 'old.txt': legacy }, { legacy: true }),
        mine.tree({}),
      ]
      const all = [...roots, ...Object.values(files)]

      const pushed = await push(roots)
      expect(pushed).toMatchObject({ pushed: all.length, failed: [] })
      expect(await missing(...roots)).toEqual([])

      const fetched = await fetch(all)
      expect(fetched.failed).toEqual([])
      expect(theirs.cache.missing(all)).toEqual([])
      for (const digest of all) expect(theirs.read(digest).equals(mine.read(digest)), digest).toBe(true)
      expect(fetched.bytes).toBe(all.reduce((sum, digest) => sum + mine.read(digest).length, 0))
    })

    test('a push sends nothing twice, and of a changed tree only what is new', async () => {
      const files = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, mine.file(`file ${index}`)]))
      expect((await push([mine.tree(files)])).pushed).toBe(51)
      expect(await push([mine.tree(files)])).toMatchObject({ pushed: 0, bytes: 0, failed: [] })
      expect((await push([mine.tree({ ...files, more: mine.file('more') })])).pushed).toBe(2)
    })

    test('thousands of small files go and come', async () => {
      const random = seeded(3)
      const files = Object.fromEntries(
        Array.from({ length: 1200 }, (_, index) => [
          `d${index % 7}/f${index}`,
          mine.file(randomBlock(random, 20 + Math.floor(random() * 2000))),
        ]),
      )
      const tree = mine.tree(files)
      expect((await push([tree])).pushed).toBe(1201)
      await fetch([tree])
      const entries = theirs.cache.readTree(tree)
      expect(entries).toHaveLength(1200)
      await fetch(entries.map((entry) => entry.digest))
      expect(theirs.cache.missing(Object.values(files))).toEqual([])
    })

    test('a tree with a file that the cache lacks stays behind, everything else goes', async () => {
      const [present, absent, other] = [mine.file('present'), mine.file('absent'), mine.file('other')]
      const torn = mine.tree({ a: present, b: absent })
      const whole = mine.tree({ a: other })
      mine.drop(absent)
      const result = await push([torn, whole])
      expect(result.failed).toMatchObject([{ digest: absent, reason: 'missing' }])
      expect(await missing(torn, whole)).toEqual([torn])
      expect([...(await remote.findMissingFiles([present, absent, other], quietly()))]).toEqual([absent])

      mine.file('absent')
      const again = await push([torn, whole])
      expect(again).toMatchObject({ failed: [] })
      expect(await missing(torn, whole)).toEqual([])
    })

    test('a damaged cached object is never sent, alone or in a tree', async () => {
      const [sound, damaged] = [mine.file('sound file'), mine.file('damaged file')]
      const tree = mine.tree({ a: sound, b: damaged })
      mine.damage(damaged)
      const result = await push([tree, damaged])
      expect(result.failed).toMatchObject([{ digest: damaged, reason: 'damaged' }])
      expect(new Set(await missing(tree, damaged, sound))).toEqual(new Set([tree, damaged]))
    })

    test('a tree that is damaged in the cache is not sent', async () => {
      const tree = mine.tree({ a: mine.file('content') })
      mine.damage(tree)
      expect((await push([tree])).failed).toMatchObject([{ digest: tree, reason: 'damaged' }])
      expect(await missing(tree)).toEqual([tree])
    })

    test('objects that it does not have are told to be absent, and the others come', async () => {
      const [here, nowhere] = [mine.file('here'), mine.file('never pushed')]
      const tree = mine.tree({ a: nowhere })
      await push([here])
      const { outcomes, failed } = await fetch([nowhere, here, tree])
      expect(outcomes).toEqual(
        new Map([
          [here, 'transferred'],
          [nowhere, 'absent'],
          [tree, 'absent'],
        ]),
      )
      expect(failed).toEqual([])
    })

    test('damaged stored bytes never enter a cache', async () => {
      const [small, large, good] = [
        mine.file('small and damaged'),
        mine.file(randomBlock(seeded(4), 5 * 1024 * 1024)),
        mine.file('good'),
      ]
      await push([small, large, good])
      await place.damage(`part${part}`, small)
      await place.damage(`part${part}`, large)
      const { outcomes, failed } = await fetch([small, large, good])
      expect(theirs.cache.missing([small, large, good])).toEqual([small, large])
      const told = [
        ...failed.map((failure) => failure.digest),
        ...[...outcomes].flatMap(([digest, outcome]) => (outcome === 'absent' ? [digest] : [])),
      ]
      expect(new Set(told)).toEqual(new Set([small, large]))
      expect(leftovers(theirs.dir)).toEqual([])
    })

    test('an interrupted transfer rejects, and the next one completes it', async () => {
      const files = Object.fromEntries(
        Array.from({ length: 600 }, (_, index) => [`f${index}`, mine.file(`interrupted ${index}`.repeat(20))]),
      )
      const tree = mine.tree(files)
      const stop = new AbortController()
      const report = () => stop.abort(new Error('enough'))
      await expect(remote.push([localTree(mine.cache, tree)], [], quietly({ signal: stop.signal, report }))).rejects.toThrow()
      expect((await push([tree])).failed).toEqual([])
      expect(await missing(tree)).toEqual([])

      const again = new AbortController()
      const pulling = (await open(theirs)).fetch(
        Object.values(files),
        theirs.cache,
        quietly({ signal: again.signal, report: () => again.abort(new Error('enough')) }),
      )
      await expect(pulling).rejects.toThrow()
      await fetch(theirs.cache.missing(Object.values(files)))
      expect(theirs.cache.missing(Object.values(files))).toEqual([])
      expect(leftovers(theirs.dir)).toEqual([])
    })
  })
}

/** Drafts that a failed transfer forgot. */
const leftovers = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /tmp$|draft|incoming/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
