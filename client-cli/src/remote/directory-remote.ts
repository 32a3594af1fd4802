import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type Digest, isTree, objectPath } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import type { ObjectSink } from '../cache/object-sink.ts'
import { openRunFiles } from '../cache/run-files.ts'
import { filePieces } from '../io/file-pieces.ts'
import { capture } from '../io/spawn.ts'
import { makeFolders } from '../io/make-folders.ts'
import { createMeter } from './meter.ts'
import { type Failures, type Outgoing, type SourceCache, takeAllSound, takeFiles, takeSound, withoutFailed } from './outgoing.ts'
import type { FetchResult, LocalTree, OnObject, PushResult, Remote, RemoteRuns, TransferOptions } from './remote.ts'

/** Up to this size, reading and writing at once beats asking the kernel to copy. */
const SMALL_BYTES = 1024 * 1024
/** Objects between two breaths, in which Ctrl-C is heard. */
const BREATH = 256

/** A directory in dvc's layout: a mounted disk, a share. Synchronous inside: files are copied one after another. */
export function createDirectoryRemote({ name, dir, cache }: { name: string; dir: string; cache: SourceCache }): Remote {
  const pathOf = (digest: Digest) => path.join(dir, objectPath(digest))
  const findMissing = async (digests: Iterable<Digest>, { signal }: TransferOptions): Promise<Set<Digest>> => {
    const missing = new Set<Digest>()
    await eachWithBreath(digests, signal, (digest) => {
      if (!existsSync(pathOf(digest))) missing.add(digest)
    })
    return missing
  }
  return {
    name,
    url: dir,
    findMissing,
    findMissingFiles: findMissing,
    push: (trees, files, options) => push({ dir, cache, pathOf, findMissing }, trees, files, options),
    fetch: (digests, sink, options) => fetchAll(pathOf, digests, sink, options),
    runs: folderRuns(dir),
    close: () => Promise.resolve(),
  }
}

function folderRuns(dir: string): RemoteRuns {
  const files = openRunFiles(dir)
  return {
    list: () => Promise.resolve(new Set(files.list())),
    send: (names, read, { signal }) =>
      eachWithBreath(names, signal, (name) => {
        const entry = read(name)
        if (entry) files.store(name, entry)
      }),
    bring: (names, take, { signal }) =>
      eachWithBreath(names, signal, (name) => {
        const entry = files.read(name)
        if (entry) take(name, entry)
      }),
  }
}

async function eachWithBreath<T>(list: Iterable<T>, signal: AbortSignal, visit: (value: T) => void): Promise<void> {
  let count = 0
  for (const value of list) {
    visit(value)
    if (++count % BREATH !== 0) continue
    await setImmediate()
    signal.throwIfAborted()
  }
}

interface Wires {
  dir: string
  cache: SourceCache
  pathOf(digest: Digest): string
  findMissing(digests: Iterable<Digest>, options: TransferOptions): Promise<Set<Digest>>
}

async function push(
  wires: Wires,
  trees: readonly LocalTree[],
  files: readonly Digest[],
  options: TransferOptions,
): Promise<PushResult> {
  const failures: Failures = new Map()
  const missing = await wires.findMissing([...trees.map((tree) => tree.digest), ...files], options)
  const missingTrees = trees.filter((tree) => missing.has(tree.digest))
  const entries = missingTrees.flatMap((tree) => takeFiles(tree, failures) ?? [])
  const wanted = await wires.findMissing(new Set([...entries, ...files]), options)

  const objects = await takeAllSound(wires.cache, wanted, failures, options.signal)
  const meter = createMeter(options.report, 'Pushing')
  meter.plan(objects.reduce((sum, object) => sum + object.size, 0))
  try {
    await eachWithBreath(objects, options.signal, (object) => {
      place(object, wires.pathOf(object.digest))
      meter.body().add(object.size)
    })
  } finally {
    meter.end()
  }
  if (objects.length > 0) await syncFolder(wires.dir)
  const sent = sendTrees(wires, withoutFailed(missingTrees, failures), failures)
  const all = [...objects, ...sent]
  return {
    pushed: all.length,
    bytes: all.reduce((sum, object) => sum + object.size, 0),
    requests: 0,
    failed: [...failures.values()],
  }
}

/** A tree vouches for its files, so it is written when they are on the disk. */
function sendTrees(wires: Wires, trees: readonly LocalTree[], failures: Failures): Outgoing[] {
  const sent: Outgoing[] = []
  for (const { digest } of trees) {
    const object = takeSound(wires.cache, digest, failures)
    if (!object) continue
    place(object, wires.pathOf(digest))
    sent.push(object)
  }
  return sent
}

/** A copy under the object's name appears whole or not at all. A crash leaves a `.tmp` file, which nothing reads. */
function place(object: Outgoing, target: string): void {
  const draft = path.join(path.dirname(target), `.${randomBytes(12).toString('hex')}.tmp`)
  makeFolders(path.dirname(target))
  try {
    if (object.size <= SMALL_BYTES) writeFileSync(draft, readFileSync(object.path), { flag: 'wx' })
    else copyFileSync(object.path, draft)
    chmodSync(draft, 0o444)
    if (isTree(object.digest)) sync(draft)
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

function sync(file: string): void {
  const fd = openSync(file, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** One flush of the file system instead of one a file; where there is no such program, the kernel's own pace has to do. */
async function syncFolder(dir: string): Promise<void> {
  try {
    await capture('sync', ['-f', dir], { cwd: dir })
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
  }
}

async function fetchAll(
  pathOf: (digest: Digest) => string,
  digests: readonly Digest[],
  sink: ObjectSink,
  options: TransferOptions & { onObject?: OnObject },
): Promise<FetchResult> {
  const wanted = new Set(digests)
  const result: FetchResult = { bytes: 0, requests: 0, failed: [] }
  let done = 0
  try {
    for (const digest of wanted) {
      options.signal.throwIfAborted()
      try {
        result.bytes += await fetchOne(pathOf(digest), digest, sink, options.signal)
        options.onObject?.(digest, 'transferred')
      } catch (error) {
        if (isCode(error, 'ENOENT', 'ENOTDIR')) options.onObject?.(digest, 'absent')
        else if (isCode(error, 'DIGEST_MISMATCH'))
          result.failed.push({ digest, reason: 'damaged', message: (error as Error).message })
        else throw error
      }
      if (++done % BREATH === 0) await setImmediate()
      options.report({ type: 'progress', task: 'Fetching', done, total: wanted.size, unit: 'files' })
    }
  } finally {
    options.report({ type: 'progress-end', task: 'Fetching' })
  }
  return result
}

async function fetchOne(file: string, digest: Digest, sink: ObjectSink, signal: AbortSignal): Promise<number> {
  const small = readSmall(file)
  if (!small) return sink.storeStream(digest, filePieces(file, SMALL_BYTES), signal)
  sink.store(digest, small)
  return small.length
}

/** The whole file, or undefined when it is too large to hold. @throws ENOENT */
function readSmall(file: string): Buffer | undefined {
  return statSync(file).size <= SMALL_BYTES ? readFileSync(file) : undefined
}
