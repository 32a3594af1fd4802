import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openRepo } from '../../client-cli/src/repo/open.ts'
import { waitingForLocks, withRepoLock } from '../../client-cli/src/repo/repo-lock.ts'
import type { Repo } from '../../client-cli/src/repo/repo.ts'

let dir: string
let repo: Repo
const children: ChildProcess[] = []
const never = new AbortController().signal

beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-lock-'))
  mkdirSync(path.join(dir, '.dvc/tmp'), { recursive: true })
  repo = openRepo(dir, { HOME: dir })
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(dir, { recursive: true })
})

/** A holder as dvc is one: takes flock(2) on the file, says so, and holds it until its input ends. */
async function holdFromPython(): Promise<ChildProcess> {
  const program = `
import fcntl, os, sys
lock = open(sys.argv[1], 'a+')
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
lock.truncate(0)
lock.write(' %d\\n' % os.getpid())
lock.flush()
print('held', flush=True)
sys.stdin.read()
`
  const child = spawn('python3', ['-c', program, path.join(dir, '.dvc/tmp/lock')], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  await once(child.stdout, 'data')
  return child
}

function tryFromPython(): Promise<unknown[]> {
  const program = `
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], 'a+'), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(7)
`
  return once(spawn('python3', ['-c', program, path.join(dir, '.dvc/tmp/lock')]), 'exit')
}

test('while we hold the lock, a flock of another program is refused; afterwards it is granted', async () => {
  const refused = await withRepoLock(repo, never, async () => {
    expect(readFileSync(path.join(dir, '.dvc/tmp/lock'), 'utf8')).toBe(` ${process.pid}\n`)
    return (await tryFromPython())[0]
  })
  expect([refused, (await tryFromPython())[0]]).toEqual([7, 0])
})

test('a lock that is held for longer than 3 s ends in LOCKED with its holder and exit code 255', async () => {
  const holder = await holdFromPython()
  await expect(withRepoLock(repo, never, async () => 1)).rejects.toMatchObject({
    code: 'LOCKED',
    exit: 255,
    message: expect.stringMatching(new RegExp(`Unable to acquire lock.*PID ${holder.pid}`)) as string,
  })
})

test('a lock that is let go within 3 s is taken', async () => {
  const holder = await holdFromPython()
  const taken = withRepoLock(repo, never, async () => 'taken')
  holder.stdin?.end()
  expect(await taken).toBe('taken')
})

test('the lock of a killed holder is free', async () => {
  const holder = await holdFromPython()
  holder.kill('SIGKILL')
  expect(await withRepoLock(repo, never, async () => 'taken')).toBe('taken')
})

test('an interruption ends the wait', async () => {
  await holdFromPython()
  const controller = new AbortController()
  const waiting = withRepoLock(repo, controller.signal, async () => 1)
  controller.abort(new Error('stop'))
  await expect(waiting).rejects.toThrow('stop')
})

test('a nested call runs under the lock that is held, a parallel one waits for its turn', async () => {
  const steps: string[] = []
  const work = (name: string) =>
    withRepoLock(repo, never, async () => {
      steps.push(`${name} in`)
      await withRepoLock(repo, never, async () => void steps.push(`${name} nested`))
      await new Promise((resolve) => setImmediate(resolve))
      steps.push(`${name} out`)
    })
  await Promise.all([work('a'), work('b')])
  expect(steps).toEqual(['a in', 'a nested', 'a out', 'b in', 'b nested', 'b out'])
})

test('a failure releases the lock and reaches the caller', async () => {
  await expect(withRepoLock(repo, never, async () => Promise.reject(new Error('boom')))).rejects.toThrow('boom')
  expect(await withRepoLock(repo, never, async () => 1)).toBe(1)
})

test('where there is no flock program a pid file keeps a second one out, and a dead one does not', async () => {
  const env = process.env['PATH']
  process.env['PATH'] = path.join(dir, 'empty')
  try {
    await withRepoLock(repo, never, async () => {
      expect(readFileSync(path.join(dir, '.dvc/tmp/lock.cairn'), 'utf8')).toBe(` ${process.pid}\n`)
    })
    const dead = spawn(process.execPath, ['-e', ''])
    await once(dead, 'exit')
    writeFileSync(path.join(dir, '.dvc/tmp/lock.cairn'), ` ${dead.pid}\n`)
    expect(await withRepoLock(repo, never, async () => 1)).toBe(1)
  } finally {
    process.env['PATH'] = env
  }
})

test('with --wait-for-lock the lock is waited for until it is free, or the signal aborts', async () => {
  const holder = await holdFromPython()
  const wait = new AbortController()
  const waiting = waitingForLocks(() => withRepoLock(repo, wait.signal, () => Promise.resolve('never')))
  wait.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  const got = waitingForLocks(() => withRepoLock(repo, never, () => Promise.resolve('mine')))
  holder.stdin?.end()
  expect(await got).toBe('mine')
})
