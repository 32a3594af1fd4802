import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CairnError } from '@cairn/protocol/error'
import { capture, runCommand } from '../../client-cli/src/io/spawn.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-spawn-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const env = { PATH: process.env['PATH'], SHELL: '/bin/sh' }
const never = new AbortController().signal

async function fileAppears(name: string): Promise<void> {
  const watcher = watch(dir)
  while (!existsSync(path.join(dir, name))) await once(watcher, 'change')
  watcher.close()
}

test('a command runs in its folder, with its environment, in a shell', async () => {
  const ended = await runCommand('echo "$NAME" > a; pwd -P > b; exit 3', { cwd: dir, env: { ...env, NAME: 'x' }, signal: never })
  expect(ended).toEqual({ code: 3, signal: null })
  expect(readFileSync(path.join(dir, 'a'), 'utf8')).toBe('x\n')
})

test('bash does not read its start-up files', async () => {
  await runCommand('shopt -q login_shell; echo "${BASH_VERSION:+bash}" > out', {
    cwd: dir,
    env: { ...env, SHELL: '/bin/bash' },
    signal: never,
  })
  expect(readFileSync(path.join(dir, 'out'), 'utf8')).toBe('bash\n')
})

test('a command ended by a signal says which', async () => {
  expect(await runCommand('kill -9 $$', { cwd: dir, env, signal: never })).toEqual({ code: null, signal: 'SIGKILL' })
})

test('no such folder or shell is a failure with both named', async () => {
  await expect(runCommand('true', { cwd: path.join(dir, 'nowhere'), env, signal: never })).rejects.toThrow(
    /cannot run '\/bin\/sh' in '.*nowhere'/,
  )
  await expect(runCommand('true', { cwd: dir, env: { SHELL: '/no/shell' }, signal: never })).rejects.toMatchObject({
    code: 'FAILED',
  })
})

test('an abort reaches what the shell started, with the signal that came', async () => {
  const controller = new AbortController()
  const script = `trap 'echo int > got; exit 7' INT; trap 'echo term > got; exit 7' TERM; touch ready; while :; do sleep 0.05; done`
  const ended = runCommand(`sh -c "${script}"; echo after > after`, { cwd: dir, env, signal: controller.signal })
  await fileAppears('ready')
  controller.abort(new CairnError('CANCELLED', 'x', { data: { signal: 'SIGTERM' } }))
  await ended
  await fileAppears('got')
  await expect.poll(() => readFileSync(path.join(dir, 'got'), 'utf8')).toBe('term\n')
})

test('a command that ignores the abort is killed after 5 s', async () => {
  const controller = new AbortController()
  const ended = runCommand(`trap '' INT TERM; touch ready; while :; do sleep 0.1; done`, {
    cwd: dir,
    env,
    signal: controller.signal,
  })
  await fileAppears('ready')
  controller.abort()
  expect(await ended).toEqual({ code: null, signal: 'SIGKILL' })
})

test('capture collects both streams and the exit code, and feeds input', async () => {
  const done = await capture('sh', ['-c', 'cat; echo err >&2; exit 4'], { cwd: dir, input: 'in' })
  expect([done.code, done.stdout.toString(), done.stderr]).toEqual([4, 'in', 'err\n'])
  await expect(capture('no-such-program', [], { cwd: dir })).rejects.toMatchObject({ code: 'ENOENT' })
})

test('capture ends its program on abort and rejects with the reason', async () => {
  const controller = new AbortController()
  const waiting = capture('sleep', ['60'], { cwd: dir, signal: controller.signal })
  controller.abort(new Error('stop'))
  await expect(waiting).rejects.toThrow('stop')
})
