import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Digest, md5Of, packDigests, unpackDigests } from '@cairn/protocol/digest'
import type { Catalog, LinkOutcome, NewObject, NewTree } from '../../server/src/domain/ports/catalog.ts'
import { freshKey, objectOf, objectsOf } from '../rig/objects.ts'

export interface OpenCatalog {
  catalog: Catalog
  /** A second replica over the same rows. */
  replica: Catalog
  close(): Promise<void>
}

let projects = 0

/** What every catalog does, in the words of the port. */
export function testCatalog(name: string, open: () => Promise<OpenCatalog>): void {
  describe(name, () => {
    let opened: OpenCatalog
    let catalog: Catalog
    let project: number

    beforeAll(async () => {
      opened = await open()
      catalog = opened.catalog
    })
    afterAll(() => opened?.close())
    beforeEach(async () => {
      project = (await newProject(catalog)).id
    })

    const store = async (objects: readonly NewObject[], state: 'live' | 'pending' = 'live'): Promise<LinkOutcome[]> =>
      catalog.linkBlob(project, { key: freshKey(), size: 1, kind: objects.length === 1 ? 'single' : 'pack' }, objects, { state })
    const find = async (digest: Digest) => (await catalog.findObjects(project, [digest]))[0]
    const missing = async (...digests: Digest[]): Promise<Digest[]> =>
      unpackDigests((await catalog.findMissing(project, packDigests(digests))).missing)
    const idsOf = async (objects: readonly NewObject[]): Promise<number[]> => {
      const { present } = await catalog.findMissing(project, packDigests(digestsOf(objects)))
      return [...present.sort()]
    }
    const linkedTree = async (text: string, members: readonly NewObject[]): Promise<NewObject> => {
      const tree = objectOf(text, { tree: true })
      await store([tree], 'pending')
      expect(await catalog.linkTree(project, tree.digest, treeOf(await idsOf(members)))).toBe(true)
      return tree
    }
    const idOf = async (object: NewObject): Promise<number> => (await find(object.digest))?.id ?? Number.NaN
    const trash = async (): Promise<string[]> => (await catalog.listTrash(0, 100_000)).map((row) => row.key)

    describe('projects', () => {
      test('a project is found by its slug, and its slug is given once', async () => {
        const made = await newProject(catalog)
        expect(await catalog.findProject(made.slug)).toEqual(made)
        expect(await catalog.createProject(made.slug)).toBeUndefined()
        expect(await catalog.listProjects()).toContainEqual(made)
        expect(await catalog.findProject('no-such-project')).toBeUndefined()
      })

      test('usage counts what is live and what is damaged', async () => {
        const objects = objectsOf('usage', 3)
        await store(objects)
        await catalog.markDamaged(project, [await idOf(at(objects, 0))])
        expect(await catalog.usage(project)).toEqual({ objects: 2, bytes: at(objects, 1).size + at(objects, 2).size, damaged: 1 })
      })
    })

    describe('objects', () => {
      test('invariant 1: an upload is acknowledged with a committed row that has its size, sha256 and place', async () => {
        const object = objectOf('bytes', { offset: 17 })
        const key = freshKey()
        expect(await catalog.linkBlob(project, { key, size: 40, kind: 'pack' }, [object])).toEqual(['stored'])
        const [row] = await opened.replica.findObjects(project, [object.digest])
        expect(row).toMatchObject({ digest: object.digest, size: 5, state: 'live', key, offset: 17, broken: false })
        expect(Buffer.from(row?.sha256 ?? [])).toEqual(object.sha256)
      })

      test('invariant 2: a digest that another project holds is missing here, and is no member of a tree here', async () => {
        const secret = objectOf('secret')
        await store([secret])
        const foreignId = await idOf(secret)
        const other = (await newProject(catalog)).id
        expect(await catalog.findObjects(other, [secret.digest])).toEqual([])
        const { missing: lacking, present } = await catalog.findMissing(other, packDigests([secret.digest]))
        expect([unpackDigests(lacking), present.length]).toEqual([[secret.digest], 0])
        const tree = objectOf('tree', { tree: true })
        await catalog.linkBlob(other, { key: freshKey(), size: 4, kind: 'single' }, [tree], { state: 'pending' })
        expect(await catalog.linkTree(other, tree.digest, treeOf([foreignId]))).toBe(false)
        expect(await catalog.markDamaged(other, [foreignId])).toEqual([])
        expect((await find(secret.digest))?.state).toBe('live')
      })

      test('invariant 3: the same md5 with another sha256 is a conflict, and what stands stays', async () => {
        const object = objectOf('one')
        const forged = { ...object, sha256: objectOf('two').sha256 }
        await store([object])
        expect(await store([forged])).toEqual(['conflict'])
        expect(Buffer.from((await find(object.digest))?.sha256 ?? [])).toEqual(object.sha256)
        await catalog.markDamaged(project, [await idOf(object)])
        expect(await store([forged])).toEqual(['conflict'])
        expect((await find(object.digest))?.state).toBe('damaged')
      })

      test('the four kinds of one md5 are four objects', async () => {
        const kinds = [{}, { tree: true }, { legacy: true }, { tree: true, legacy: true }].map((options) =>
          objectOf('kinds', options),
        )
        expect(await store(kinds)).toEqual(['stored', 'stored', 'stored', 'stored'])
        expect((await catalog.findObjects(project, digestsOf(kinds))).map((row) => row.digest).sort()).toEqual(
          digestsOf(kinds).sort(),
        )
      })

      test('a second upload of what stands is told so, and its blob goes to the trash', async () => {
        const object = objectOf('again')
        await store([object])
        const before = await find(object.digest)
        const key = freshKey()
        expect(await catalog.linkBlob(project, { key, size: 5, kind: 'single' }, [object])).toEqual(['exists'])
        expect(await find(object.digest)).toEqual(before)
        expect(await trash()).toContain(key)
        expect((await catalog.listBlobs(0, 100_000)).map((blob) => blob.key)).not.toContain(key)
      })

      test('a blob that gained one object of many is kept', async () => {
        const [known, fresh] = [objectOf('known'), objectOf('fresh')]
        await store([known])
        const key = freshKey()
        expect(await catalog.linkBlob(project, { key, size: 10, kind: 'pack' }, [known, fresh])).toEqual(['exists', 'stored'])
        expect(await trash()).not.toContain(key)
        expect((await find(fresh.digest))?.key).toBe(key)
      })

      test('a digest that stands twice in a pack is stored once', async () => {
        const object = objectOf('twice')
        const forged = { ...object, sha256: objectOf('other').sha256 }
        expect(await store([object, { ...object, offset: 5 }, forged])).toEqual(['stored', 'exists', 'conflict'])
        expect((await find(object.digest))?.offset).toBe(0)
      })

      test('invariant 4: a storage key is never used again, neither of a blob nor from the trash', async () => {
        const object = objectOf('keyed')
        const key = freshKey()
        await catalog.linkBlob(project, { key, size: 5, kind: 'single' }, [object])
        await expect(catalog.linkBlob(project, { key, size: 5, kind: 'single' }, [objectOf('late')])).rejects.toThrow()
        expect(await find(objectOf('late').digest)).toBeUndefined()
        const trashed = freshKey()
        await catalog.linkBlob(project, { key: trashed, size: 5, kind: 'single' }, [object])
        await expect(catalog.linkBlob(project, { key: trashed, size: 5, kind: 'single' }, [objectOf('late')])).rejects.toThrow()
        expect(await find(objectOf('late').digest)).toBeUndefined()
      })

      test('a failed link leaves no blob and no object', async () => {
        const good = objectOf('good')
        const key = freshKey()
        const bad = { ...objectOf('bad'), size: -1 }
        await expect(catalog.linkBlob(project, { key, size: 5, kind: 'pack' }, [good, bad])).rejects.toThrow()
        expect(await find(good.digest)).toBeUndefined()
        expect(await store([good])).toEqual(['stored'])
      })

      test('missing digests come in the order of the question, over more than one batch', async () => {
        const objects = objectsOf('batch', 12_000)
        expect(await store(objects)).toEqual(objects.map(() => 'stored'))
        const unknown = objectsOf('unknown', 3).map((object) => object.digest)
        const asked = [at(unknown, 2), ...digestsOf(objects), at(unknown, 0), at(unknown, 1)]
        const answer = await catalog.findMissing(project, packDigests(asked))
        expect(unpackDigests(answer.missing)).toEqual([unknown[2], unknown[0], unknown[1]])
        expect(new Set(answer.present).size).toBe(12_000)
        expect(await catalog.findObjects(project, asked)).toHaveLength(12_000)
      })

      test('of two links of the same digests at once, in opposite order, each digest is stored by one and exists for the other', async () => {
        for (let round = 0; round < 4; round++) {
          const objects = objectsOf(`race ${round}`, 2_000)
          const [one, two] = await Promise.all([
            store(objects),
            opened.replica.linkBlob(project, packBlob(), objects.toReversed()),
          ])
          const other = two.toReversed()
          expect(one.map((outcome, index) => [outcome, other[index]].sort().join(' '))).toEqual(
            objects.map(() => 'exists stored'),
          )
        }
      })

      test('links at once of damaged and new digests all end, and leave every object live', async () => {
        const objects = objectsOf('mixed', 300)
        await store(objects.slice(0, 200))
        await catalog.markDamaged(project, await idsOf(objects.slice(0, 200)))
        const links = Array.from({ length: 6 }, (_, index) => {
          const turned = index % 2 === 0 ? objects : objects.toReversed()
          return (index % 3 === 0 ? catalog : opened.replica).linkBlob(project, packBlob(), turned)
        })
        const outcomes = (await Promise.all(links)).flat()
        expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(300)
        expect(await missing(...digestsOf(objects))).toEqual([])
      })
    })

    describe('trees', () => {
      test('invariant 5: a pending tree is missing until all its members are live', async () => {
        const [a, b] = [objectOf('a'), objectOf('b')]
        const tree = objectOf('a and b', { tree: true })
        await store([a])
        await store([tree], 'pending')
        expect((await find(tree.digest))?.state).toBe('pending')
        expect(await missing(tree.digest)).toEqual([tree.digest])
        await store([b])
        const members = await idsOf([a, b])
        await catalog.markDamaged(project, [await idOf(b)])
        expect(await catalog.linkTree(project, tree.digest, treeOf(members))).toBe(false)
        expect(await missing(tree.digest)).toEqual([tree.digest])
        await store([b])
        expect(await catalog.linkTree(project, tree.digest, treeOf(members))).toBe(true)
        expect(await missing(tree.digest)).toEqual([])
      })

      test('invariant 5: a tree is not present by its bytes alone', async () => {
        const tree = objectOf('only bytes', { tree: true })
        await store([tree])
        expect(await missing(tree.digest)).toEqual([tree.digest])
      })

      test('the files of a tree are told apart, each missing one once, and sizes count as often as files come', async () => {
        const [a, b, gone, unknown] = [objectOf('aa'), objectOf('bbb'), objectOf('gone'), objectOf('unknown')]
        await store([a, b, gone])
        const members = await idsOf([a, b])
        await catalog.markDamaged(project, [await idOf(gone)])
        const found = await catalog.findMembers(project, membersOf([b, unknown, a, gone, unknown, b]))
        expect({ ...found, missing: hexOf(found.missing) }).toEqual({
          missing: [unknown, gone].map((object) => md5Of(object.digest)).join(''),
          times: [2, 1],
          present: members,
          bytes: 2 + 2 * 3,
        })
        expect((await catalog.findMembers(project, { ...membersOf([a]), legacy: true })).present).toEqual([])
        const other = (await newProject(catalog)).id
        expect((await catalog.findMembers(other, membersOf([a]))).present).toEqual([])
      })

      test('invariant 5: a base vouches for its members only while it is whole', async () => {
        const [a, b, c] = [objectOf('base a'), objectOf('base b'), objectOf('base c')]
        await store([a, b, c])
        const base = await idOf(await linkedTree('base', [a, b]))
        const changes = { md5s: membersOf([b, c]).md5s, before: [1, 0], after: [0, 1], legacy: false }
        const found = await catalog.findChangedMembers(project, base, changes)
        expect(found).toMatchObject({ present: await idsOf([a, c]), vouched: { base, others: await idsOf([c]) }, times: [] })
        expect(await catalog.findChangedMembers((await newProject(catalog)).id, base, changes)).toBeUndefined()

        const tree = objectOf('change', { tree: true })
        await store([tree], 'pending')
        const change = { entries: 2, bytes: 0, members: found?.present ?? [], vouched: found?.vouched }
        await catalog.markDamaged(project, [await idOf(a)])
        expect(await catalog.linkTree(project, tree.digest, change)).toBe(false)
        expect(await catalog.findChangedMembers(project, base, changes)).toBeUndefined()
        await store([a])
        await catalog.mendTrees(project)
        expect(await catalog.linkTree(project, tree.digest, change)).toBe(true)
        expect(await missing(tree.digest)).toEqual([])
      })

      test('invariant 5: a tree that is held waits until what it lacked is here, and notices what it loses meanwhile', async () => {
        const [a, late] = [objectOf('held a'), objectOf('held late')]
        const tree = objectOf('held', { tree: true })
        await store([a])
        await store([tree], 'pending')
        const { missing: lacking, times, present, bytes } = await catalog.findMembers(project, membersOf([a, late, late]))
        const held = { entries: 3, bytes, members: present, missing: lacking, times }
        expect(await catalog.linkHeldTree(project, tree.digest)).toBeUndefined()
        expect(await catalog.holdTree(project, tree.digest, held)).toBe(true)
        expect(await missing(tree.digest)).toEqual([tree.digest])
        expect(hexOf((await catalog.linkHeldTree(project, tree.digest)) ?? new Uint8Array())).toBe(md5Of(late.digest))
        await store([late])
        await catalog.markDamaged(project, [await idOf(a)])
        expect(await catalog.linkHeldTree(project, tree.digest)).toBeUndefined()
        expect(await catalog.holdTree(project, tree.digest, held)).toBe(false)
        await store([a])
        await catalog.mendTrees(project)
        expect(await catalog.linkHeldTree(project, tree.digest)).toEqual(new Uint8Array())
        expect(await missing(tree.digest)).toEqual([])
        expect(await catalog.linkHeldTree(project, tree.digest)).toBeUndefined()
        expect(await catalog.markDamaged(project, [await idOf(late)])).toEqual([tree.digest])
      })

      test('a tree that is unknown or damaged is not linked', async () => {
        const tree = objectOf('t', { tree: true })
        expect(await catalog.linkTree(project, tree.digest, treeOf([]))).toBe(false)
        await store([tree], 'pending')
        await catalog.markDamaged(project, [await idOf(tree)])
        expect(await catalog.linkTree(project, tree.digest, treeOf([]))).toBe(false)
        expect((await find(tree.digest))?.state).toBe('damaged')
      })

      test('an empty tree and one of more than a batch are linked', async () => {
        await linkedTree('empty', [])
        const objects = objectsOf('wide', 10_001)
        await store(objects)
        const wide = await linkedTree('wide', objects)
        expect(await missing(wide.digest)).toEqual([])
      })

      test('a live tree is never made pending, and a pending one is replaced by its next upload', async () => {
        const live = await linkedTree('live', [])
        expect(await store([live], 'pending')).toEqual(['exists'])
        expect(await missing(live.digest)).toEqual([])
        const waiting = objectOf('waiting', { tree: true })
        await store([waiting], 'pending')
        const first = (await find(waiting.digest))?.key
        expect(await store([waiting], 'pending')).toEqual(['stored'])
        expect((await find(waiting.digest))?.key).not.toBe(first)
        expect(await trash()).toContain(first)
      })

      test('invariant 5: a lost member breaks its trees for the next push, and a repair mends them', async () => {
        const [a, b, c] = [objectOf('a'), objectOf('b'), objectOf('c')]
        await store([a, b, c])
        const both = await linkedTree('a b', [a, b])
        const lone = await linkedTree('c', [c])
        expect(await catalog.markDamaged(project, [await idOf(b)])).toEqual([both.digest])
        expect(await find(both.digest)).toMatchObject({ state: 'live', broken: true })
        expect(await missing(b.digest, both.digest, lone.digest)).toEqual([b.digest, both.digest])
        expect((await catalog.listDamaged(project)).map((row) => [row.digest, row.size])).toEqual([[b.digest, b.size]])
        expect(await catalog.mendTrees(project)).toEqual([])
        const old = (await find(b.digest))?.key
        expect(await store([b])).toEqual(['stored'])
        expect((await find(b.digest))?.key).not.toBe(old)
        expect(await catalog.mendTrees(project)).toEqual([both.digest])
        expect(await missing(b.digest, both.digest)).toEqual([])
        expect(await catalog.listDamaged(project)).toEqual([])
      })

      test('a broken tree is made whole by linking it again', async () => {
        const a = objectOf('a')
        await store([a])
        const tree = await linkedTree('tree', [a])
        await catalog.markDamaged(project, [await idOf(a)])
        await store([a])
        expect(await missing(tree.digest)).toEqual([tree.digest])
        expect(await catalog.linkTree(project, tree.digest, treeOf(await idsOf([a])))).toBe(true)
        expect(await missing(tree.digest)).toEqual([])
      })

      test('invariant 5: a member that is lost while its tree is linked leaves no tree that looks whole', async () => {
        const a = objectOf('a')
        const others = objectsOf('others', 200)
        await store([a, ...others])
        const members = await idsOf([a, ...others])
        const id = await idOf(a)
        for (let round = 0; round < 15; round++) {
          const tree = objectOf(`round ${round}`, { tree: true })
          await store([tree], 'pending')
          await Promise.all([catalog.linkTree(project, tree.digest, treeOf(members)), opened.replica.markDamaged(project, [id])])
          expect(await missing(tree.digest)).toEqual([tree.digest])
          await store([a])
        }
      })
    })

    describe('blobs', () => {
      test('blobs come by ascending id with their objects in the order of their bytes', async () => {
        const objects = objectsOf('pack', 5)
        await store(objects.toReversed())
        await store([objectOf('single')])
        const mine = (await allBlobs(catalog)).filter((blob) => blob.projectId === project)
        expect(mine.map((blob) => blob.objects.map((object) => object.digest))).toEqual([
          digestsOf(objects),
          [objectOf('single').digest],
        ])
        await catalog.markVerified(mine.map((blob) => blob.id))
      })

      test('a pack is trashed when its last readable object has moved, and not before', async () => {
        const [a, b] = [objectOf('first'), objectOf('second')]
        await store([a, b])
        const pack = (await find(a.digest))?.key
        await catalog.markDamaged(project, await idsOf([a, b]))
        await store([a])
        expect(await trash()).not.toContain(pack)
        await store([b])
        expect(await trash()).toContain(pack)
      })

      test('a pack whose last two objects move at once is trashed', async () => {
        for (let round = 0; round < 10; round++) {
          const [a, b] = [objectOf(`left ${round}`), objectOf(`right ${round}`)]
          await store([a, b])
          const pack = (await find(a.digest))?.key
          await catalog.markDamaged(project, await idsOf([a, b]))
          await Promise.all([store([a]), opened.replica.linkBlob(project, { key: freshKey(), size: 1, kind: 'single' }, [b])])
          expect(await trash()).toContain(pack)
        }
      })

      test('a base stays without an object of its own, and is trashed with the last delta that is made of it', async () => {
        const [base, first, second] = [objectOf('base'), objectOf('first delta'), objectOf('second delta')]
        await store([base])
        const baseKey = (await find(base.digest))?.key ?? ''
        const [firstKey, secondKey] = [freshKey(), freshKey()]
        const link = (key: string, bases: string[], object: NewObject) =>
          catalog.linkBlob(project, { key, size: 1, kind: 'delta', bases }, [object])
        expect(await link(firstKey, [baseKey, baseKey], first)).toEqual(['stored'])
        expect(await link(secondKey, [firstKey, baseKey], second)).toEqual(['stored'])
        for (const object of [base, first]) {
          await catalog.markDamaged(project, [await idOf(object)])
          await store([object])
          expect(await trash()).not.toContain(baseKey)
          expect(await trash()).not.toContain(firstKey)
        }
        await catalog.markDamaged(project, [await idOf(second)])
        await store([second])
        expect(await trash()).toEqual(expect.arrayContaining([baseKey, firstKey, secondKey]))
      })

      test('a delta of a base that is gone is refused, and leaves nothing', async () => {
        const [base, delta] = [objectOf('lost base'), objectOf('of a lost base')]
        await store([base])
        const gone = (await find(base.digest))?.key ?? ''
        await catalog.markDamaged(project, [await idOf(base)])
        await store([base])
        const blob = { key: freshKey(), size: 1, kind: 'delta' as const, bases: [gone] }
        await expect(catalog.linkBlob(project, blob, [delta])).rejects.toMatchObject({ code: 'BASE_UNKNOWN' })
        expect(await missing(delta.digest)).toEqual([delta.digest])
      })

      test('of a base that goes while a delta is linked, either the delta is refused or the base stays', async () => {
        for (let round = 0; round < 10; round++) {
          const [base, delta] = [objectOf(`moving ${round}`), objectOf(`made ${round}`)]
          await store([base])
          const key = (await find(base.digest))?.key ?? ''
          await catalog.markDamaged(project, [await idOf(base)])
          const blob = { key: freshKey(), size: 1, kind: 'delta' as const, bases: [key] }
          const [linked] = await Promise.allSettled([opened.replica.linkBlob(project, blob, [delta]), store([base])])
          if (linked.status === 'fulfilled') expect(await trash()).not.toContain(key)
          else expect(linked.reason).toMatchObject({ code: 'BASE_UNKNOWN' })
        }
      })

      test('a list of chunks is kept once and for its object', async () => {
        const object = objectOf('cut')
        await store([object])
        const id = await idOf(object)
        expect(await catalog.findChunkList(id)).toBeUndefined()
        await catalog.keepChunkList(id, Buffer.from('list'))
        await catalog.keepChunkList(id, Buffer.from('again'))
        expect(Buffer.from((await catalog.findChunkList(id)) ?? []).toString()).toBe('list')
        await catalog.keepChunkList(id + 1_000_000, Buffer.from('of nothing'))
        expect(await catalog.findChunkList(id + 1_000_000)).toBeUndefined()
      })

      test('trash waits for its time and goes when it is removed', async () => {
        const object = objectOf('trash')
        await store([object])
        const key = freshKey()
        await catalog.linkBlob(project, { key, size: 5, kind: 'single' }, [object])
        expect((await catalog.listTrash(3600, 100_000)).map((row) => row.key)).not.toContain(key)
        const row = (await catalog.listTrash(0, 100_000)).find((candidate) => candidate.key === key)
        expect(await catalog.listTrash(0, 0)).toEqual([])
        await catalog.removeTrash([row?.id ?? -1])
        expect(await trash()).not.toContain(key)
      })
    })

    describe('direct uploads', () => {
      const uploadOf = (text: string) => ({ ...objectOf(text), id: randomUUID(), key: freshKey() })
      const note = async (...uploads: Array<ReturnType<typeof uploadOf>>) => catalog.addDirectUploads(project, uploads)

      test('are found by their ids as they were noted, in their project only, until they are removed', async () => {
        const [first, second] = [uploadOf('direct 1'), { ...uploadOf('direct 2'), size: 5 * 1024 ** 3 }]
        await note(first, second)
        const found = await catalog.findDirectUploads(project, [second.id, first.id, randomUUID()])
        const expected = [first, second].map(({ id, digest, size, key, sha256 }) => ({
          id,
          digest,
          size,
          key,
          sha256: Buffer.from(sha256),
        }))
        expect(found.toSorted((a, b) => a.size - b.size)).toEqual(expected.toSorted((a, b) => a.size - b.size))
        const other = await newProject(catalog)
        expect(await catalog.findDirectUploads(other.id, [first.id])).toEqual([])
        await catalog.removeDirectUploads([first.id])
        expect((await catalog.findDirectUploads(project, [first.id, second.id])).map(({ id }) => id)).toEqual([second.id])
        await catalog.addDirectUploads(project, [])
        expect(await catalog.findDirectUploads(project, [])).toEqual([])
      })

      test('invariant 4: old ones go, and of their keys those into the trash that no blob has', async () => {
        const [linked, abandoned] = [uploadOf('direct linked'), uploadOf('direct abandoned')]
        await note(linked, abandoned)
        await catalog.linkBlob(project, { key: linked.key, size: 1, kind: 'single' }, [objectOf('direct linked')])
        await catalog.expireDirectUploads(3600)
        expect(await catalog.findDirectUploads(project, [linked.id, abandoned.id])).toHaveLength(2)
        expect(await catalog.expireDirectUploads(0)).toBeGreaterThan(0)
        expect(await catalog.findDirectUploads(project, [linked.id, abandoned.id])).toEqual([])
        expect(await trash()).toContain(abandoned.key)
        expect(await trash()).not.toContain(linked.key)
        await expect(
          catalog.linkBlob(project, { key: abandoned.key, size: 1, kind: 'single' }, [objectOf('direct abandoned')]),
        ).rejects.toThrow()
      })
    })

    describe('sessions', () => {
      test('a session is renewed in its project only, and only while it lives', async () => {
        const session = await catalog.openSession(project, 'token', 'push', 60)
        expect(session.projectId).toBe(project)
        const renewed = await catalog.renewSession(project, session.id, 600)
        expect(renewed?.expiresAt.getTime()).toBeGreaterThan(session.expiresAt.getTime())
        expect((await catalog.renewSession(project, session.id, 1))?.expiresAt).toEqual(renewed?.expiresAt)
        const other = (await newProject(catalog)).id
        expect(await catalog.renewSession(other, session.id, 600)).toBeUndefined()
        expect(await catalog.renewSession(project, 'nonsense', 600)).toBeUndefined()
        const short = await catalog.openSession(project, 'token', 'pull', 0)
        expect(await catalog.renewSession(project, short.id, 600)).toBeUndefined()
      })

      test('invariant 6: a lease is refused once its session is gone', async () => {
        const session = await catalog.openSession(project, 'token', 'push', 60)
        await catalog.addLease(session.id, [3, 1, 2, 3])
        await catalog.addLease(session.id, [])
        await catalog.closeSession(session.id)
        await expect(catalog.addLease(session.id, [1])).rejects.toMatchObject({ code: 'SESSION_UNKNOWN' })
        expect(await catalog.renewSession(project, session.id, 60)).toBeUndefined()
        await catalog.closeSession(session.id)
      })

      test('pending trees go with the last session that was open when they were sent; live objects stay', async () => {
        const [kept, gone] = [objectOf('live'), objectOf('gone', { tree: true })]
        const session = await catalog.openSession(project, 'token', 'push', 60)
        await store([kept])
        await store([gone], 'pending')
        const key = (await find(gone.digest))?.key
        await catalog.expireSessions()
        expect((await find(gone.digest))?.state).toBe('pending')
        await catalog.closeSession(session.id)
        await catalog.openSession(project, 'token', 'push', 60)
        expect((await catalog.expireSessions()).trees).toBeGreaterThanOrEqual(1)
        expect(await find(gone.digest)).toBeUndefined()
        expect(await trash()).toContain(key)
        expect((await find(kept.digest))?.state).toBe('live')
      })

      test('an expired session is removed with its leases', async () => {
        const session = await catalog.openSession(project, 'token', 'push', 0)
        await catalog.addLease(session.id, [1])
        expect((await catalog.expireSessions()).sessions).toBeGreaterThanOrEqual(1)
        await expect(catalog.addLease(session.id, [1])).rejects.toMatchObject({ code: 'SESSION_UNKNOWN' })
      })
    })

    describe('tokens', () => {
      const newToken = (id: string) =>
        catalog.createToken({ id, name: 'ci', projects: ['a', 'b'], scopes: ['read', 'write'], expiresAt: new Date(4e12) })

      test('a token is found as it was made', async () => {
        const token = await newToken('token-1')
        expect(token).toMatchObject({
          id: 'token-1',
          name: 'ci',
          projects: ['a', 'b'],
          scopes: ['read', 'write'],
          revokedAt: null,
          lastUsedAt: null,
        })
        expect(token.expiresAt).toEqual(new Date(4e12))
        expect(await catalog.findToken('token-1')).toEqual(token)
        expect(await catalog.findToken('no such token')).toBeUndefined()
        const everywhere = await catalog.createToken({
          id: 'token-2',
          name: 'root',
          projects: null,
          scopes: ['admin'],
          expiresAt: null,
        })
        expect(everywhere).toMatchObject({ projects: null, expiresAt: null })
        expect((await catalog.listTokens()).map((row) => row.id)).toEqual(expect.arrayContaining(['token-1', 'token-2']))
      })

      test('a revoked token stays revoked from its first revocation on', async () => {
        await newToken('token-3')
        expect(await catalog.revokeToken('token-3')).toBe(true)
        const first = (await catalog.findToken('token-3'))?.revokedAt
        expect(first).toBeInstanceOf(Date)
        expect(await catalog.revokeToken('token-3')).toBe(true)
        expect((await catalog.findToken('token-3'))?.revokedAt).toEqual(first)
        expect(await catalog.revokeToken('no such token')).toBe(false)
      })

      test('the last use of a token is noted, once a minute at most', async () => {
        await newToken('token-4')
        await catalog.touchTokens(['token-4', 'no such token'])
        const first = (await catalog.findToken('token-4'))?.lastUsedAt
        expect(first).toBeInstanceOf(Date)
        await catalog.touchTokens(['token-4'])
        expect((await catalog.findToken('token-4'))?.lastUsedAt).toEqual(first)
      })

      test('every replica gets the same signing key', async () => {
        const keys = await Promise.all([catalog.signingKey(), opened.replica.signingKey(), catalog.signingKey()])
        expect(keys[0]).toHaveLength(32)
        expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1)
      })

      test('a revocation is heard by the other replica, and the watch ends with its signal', async () => {
        await newToken('token-5')
        const heard: string[] = []
        const stop = new AbortController()
        const watching = opened.replica.watchRevocations((id) => heard.push(id), stop.signal)
        await catalog.revokeToken('token-5')
        await until(() => heard.includes('token-5'))
        await newToken('token-6')
        await catalog.revokeToken('token-6')
        await until(() => heard.includes('token-6'))
        stop.abort()
        await watching
      })
    })

    describe('audit', () => {
      test('events are listed newest first and in pages', async () => {
        await catalog.audit({ action: 'token.create', tokenId: 'token-9', project: 'a', detail: { name: 'ci' } })
        await catalog.audit({ action: 'object.conflict' })
        const [second, first] = await catalog.listAudit({ limit: 2 })
        expect(second).toMatchObject({ action: 'object.conflict', tokenId: null, project: null, detail: {} })
        expect(first).toMatchObject({ action: 'token.create', tokenId: 'token-9', project: 'a', detail: { name: 'ci' } })
        expect((await catalog.listAudit({ limit: 1, before: second?.id ?? 0 }))[0]).toEqual(first)
      })
    })

    test('check resolves while the database answers and rejects when its time is up', async () => {
      await catalog.check(AbortSignal.timeout(10_000))
      await expect(catalog.check(AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late')
    })
  })
}

async function newProject(catalog: Catalog): Promise<{ id: number; slug: string; createdAt: Date }> {
  const project = await catalog.createProject(`project-${process.pid}-${projects++}`)
  if (project === undefined) throw new Error('the project exists')
  return project
}

async function allBlobs(catalog: Catalog): Promise<Awaited<ReturnType<Catalog['listBlobs']>>> {
  const all = []
  for (let after = 0; ;) {
    const page = await catalog.listBlobs(after, 50)
    all.push(...page)
    const last = page.at(-1)
    if (last === undefined) return all
    after = last.id
  }
}

const digestsOf = (objects: readonly NewObject[]): Digest[] => objects.map((object) => object.digest)
const packBlob = (): { key: string; size: number; kind: 'pack' } => ({ key: freshKey(), size: 1, kind: 'pack' })
const membersOf = (objects: readonly NewObject[]) => ({
  md5s: Buffer.from(objects.map((object) => md5Of(object.digest)).join(''), 'hex'),
  legacy: false,
})
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const treeOf = (members: readonly number[]): NewTree => ({ entries: members.length, bytes: 0, members })

function at<T>(list: readonly T[], index: number): T {
  const value = list[index]
  if (value === undefined) throw new Error(`nothing at ${index}`)
  return value
}

/** Waits for something that another connection brings; the test's own timeout bounds it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10)
}
