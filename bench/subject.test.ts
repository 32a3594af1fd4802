import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createMachine } from './machine.ts'
import { type Bench, openBench } from './subject.ts'

const base = mkdtempSync(path.join(os.tmpdir(), 'cairn-bench-test-'))
afterEach(() => rmSync(base, { recursive: true, force: true }))

/** A tool that does nothing, to look at what the bench does around it. */
async function openWith(tool: Bench['subject']['tool']): Promise<Bench> {
  mkdirSync(base, { recursive: true })
  return openBench(createMachine(), { name: tool, tool, file: '/bin/true' }, base, 'test')
}

test('what the bench is done with stays beside the repository, under another name', async () => {
  const bench = await openWith('dvc')
  mkdirSync(path.join(bench.dir, 'data'))
  bench.discard('data')
  expect(existsSync(path.join(bench.dir, 'data'))).toBe(false)
  expect(readdirSync(bench.home).filter((name) => name.startsWith('trash-'))).toHaveLength(1)
})

test('nothing outside of its own home is ever moved', async () => {
  for (const tool of ['cairn', 'restic'] as const) {
    const bench = await openWith(tool)
    const foreign = path.join(base, 'foreign')
    writeFileSync(foreign, 'precious')
    for (const wrong of ['../../foreign', '../..', '..']) expect(() => bench.discard(wrong)).toThrow('is not below')
    bench.forget()
    expect(existsSync(foreign)).toBe(true)
    expect(existsSync(bench.dir)).toBe(true)
    expect(existsSync(process.cwd())).toBe(true)
  }
})
