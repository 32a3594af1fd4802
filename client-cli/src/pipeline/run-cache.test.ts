import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseDigest } from '@cairn/protocol/digest'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Float } from './python-value.ts'
import { findRun, madeBy, runEntryOf, runKey, runValue, saveRun } from './run-cache.ts'
import type { Stage } from './stage.ts'
import { digestOf, makeStage } from './stage-for-tests.ts'

const base = makeStage('ev', { kind: 'pipeline', cmd: 'echo ev; echo err >&2; cat data/f > ev.bin; chmod +x ev.bin' })
/** The stage whose key and value were read off dvc 3. */
const recorded: Stage = {
  ...base,
  deps: [
    { path: 'm.json', def: 'm.json', recorded: { digest: parseDigest('e26523fedc4685d9c06d2683dc27f2d3'), size: 9 } },
    { path: 'data', def: 'data', recorded: { digest: parseDigest('49077655a3a3127631603bb54e7edfcd.dir'), size: 2, nfiles: 2 } },
  ],
  outs: [
    {
      path: 'ev.bin',
      def: 'ev.bin',
      cache: true,
      persist: false,
      push: true,
      recorded: { digest: parseDigest('b026324c6904b2a9cb4b88d6d61c81d1'), size: 2, isexec: true },
    },
  ],
}
const withParams = (values: Record<string, unknown>): Stage => ({
  ...recorded,
  params: [{ path: 'params.yaml', def: 'params.yaml', keys: Object.keys(values), recorded: values }],
})

describe('the key and value of a run', () => {
  test('are those of dvc', () => {
    const entry = runEntryOf(recorded)!
    expect(runKey(entry)).toBe('0d8cf830adc4ec84f08e91d52121cd89de0ea3a6e889ba103d5e1eca0b88a26a')
    expect(runValue(entry)).toBe('9d76d2a69465e315e44e08d90922ff91f35f1928cd012b9464a827ae9770f119')
  })

  test('are those of dvc for records that DVC 2 wrote', () => {
    const content = { digest: parseDigest('legacy-dd8c6a395b5dd36c56d23275028f526c'), size: 6 }
    const entry = runEntryOf({
      ...makeStage('s', { kind: 'pipeline', cmd: 'cp in.txt out.txt' }),
      deps: [{ path: 'in.txt', def: 'in.txt', recorded: content }],
      outs: [{ path: 'out.txt', def: 'out.txt', cache: true, persist: false, push: true, recorded: content }],
    })!
    expect(runKey(entry)).toBe('6a4b1cd96d092ec8931d22d02c9e87e24bf9b9d31a1f15d8ee280b18247f7d33')
    expect(runValue(entry)).toBe('b93ec5b4bf1da1c144ceb095f68a10b2e77b2b1200131011f12b16ff80337f04')
  })

  test('do not depend on sizes, but on the type of a number', () => {
    const lean = { ...recorded, deps: recorded.deps.map((dep) => ({ ...dep, recorded: { digest: dep.recorded!.digest } })) }
    expect(runKey(runEntryOf(lean)!)).toBe(runKey(runEntryOf(recorded)!))
    expect(runKey(runEntryOf(withParams({ lr: 1 }))!)).not.toBe(runKey(runEntryOf(withParams({ lr: new Float(1) }))!))
  })

  test('do not exist for a stage with a param named size or nfiles, however deep', () => {
    expect(runEntryOf(withParams({ size: 1 }))).toBeUndefined()
    expect(runEntryOf(withParams({ net: { layers: [{ nfiles: 2 }] } }))).toBeUndefined()
    expect(runEntryOf(withParams({ resize: 1 }))).toBeDefined()
  })

  test('do not exist where deps do not decide the outs, or outs cannot be given back', () => {
    const out = recorded.outs[0]!
    expect(runEntryOf({ ...recorded, deps: [] })).toBeUndefined()
    expect(runEntryOf({ ...recorded, alwaysChanged: true })).toBeUndefined()
    expect(runEntryOf({ ...recorded, outs: [{ ...out, persist: true }] })).toBeUndefined()
    expect(runEntryOf({ ...recorded, outs: [{ ...out, cache: false }] })).toBeUndefined()
    expect(runEntryOf({ ...recorded, outs: [{ ...out, cache: false, metric: {} }] })).toBeDefined()
    expect(runEntryOf({ ...recorded, deps: [{ path: 'd', def: 'd' }] })).toBeUndefined()
  })
})

describe('a filed run', () => {
  let cacheDir: string
  beforeEach(() => (cacheDir = mkdtempSync(path.join(os.tmpdir(), 'cairn-runs-'))))
  afterEach(() => rmSync(cacheDir, { recursive: true, force: true }))

  const entry = runEntryOf(recorded)!
  const fileOf = () => path.join(cacheDir, 'runs', runKey(entry).slice(0, 2), runKey(entry), runValue(entry))

  test('reads as dvc writes it', () => {
    saveRun(cacheDir, entry)
    expect(readFileSync(fileOf(), 'utf8')).toBe(
      `cmd: echo ev; echo err >&2; cat data/f > ev.bin; chmod +x ev.bin
deps:
- path: data
  hash: md5
  md5: 49077655a3a3127631603bb54e7edfcd.dir
  size: 2
  nfiles: 2
- path: m.json
  hash: md5
  md5: e26523fedc4685d9c06d2683dc27f2d3
  size: 9
outs:
- path: ev.bin
  hash: md5
  md5: b026324c6904b2a9cb4b88d6d61c81d1
  size: 2
  isexec: true
`,
    )
  })

  test('is found again by what was read, the latest first', () => {
    saveRun(cacheDir, entry)
    const other = { ...entry, outs: [{ path: 'ev.bin', digest: digestOf('2') }] }
    saveRun(cacheDir, other)
    utimesSync(fileOf(), 1, 1)
    expect(findRun(cacheDir, entry)?.get('ev.bin')?.digest).toBe(digestOf('2'))
    expect(findRun(cacheDir, { ...entry, cmd: 'another' })).toBeUndefined()
  })

  test('names what may be sent for it, to who knows the stage', () => {
    saveRun(cacheDir, entry)
    const bytes = readFileSync(fileOf())
    const out = recorded.outs[0]!
    expect(madeBy(bytes, [recorded])).toEqual([out.recorded?.digest])
    expect(madeBy(bytes, [{ ...recorded, outs: [{ ...out, push: false }] }])).toEqual([])
    expect(madeBy(bytes, [{ ...recorded, outs: [{ ...out, remote: 'elsewhere' }] }])).toEqual([])
    expect(madeBy(bytes, [{ ...recorded, cmd: 'another' }])).toEqual([])
    expect(madeBy(bytes, [{ ...recorded, outs: [out, { ...out, path: 'b', def: 'b' }] }])).toEqual([])
    expect(madeBy(Buffer.from('cmd: ['), [recorded])).toEqual([])
  })

  test('that is cut short is dropped and never restored', () => {
    saveRun(cacheDir, entry)
    writeFileSync(fileOf(), 'cmd: echo\nouts:\n- path: ev.bin\n  ha')
    expect(findRun(cacheDir, entry)).toBeUndefined()
    expect(readdirSync(path.dirname(fileOf()))).toEqual([])
  })
})
