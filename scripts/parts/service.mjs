// What the real parts share: running a program, and services that outlive the script that started them.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
export const CACHE = path.join(ROOT, '.cache')
export const PARTS = path.join(CACHE, 'real-parts')

export const isRoot = process.getuid?.() === 0

export function say(text) {
  console.error(`real parts: ${text}`)
}

/** The absolute path of a program on PATH (and where Debian keeps servers), or undefined. */
export function which(program) {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/go/bin', '/usr/local/sbin']
  return folders.map((folder) => path.join(folder, program)).find((file) => existsSync(file))
}

/** Runs a program to its end; throws with the tail of what it printed when it fails. */
export function runProgram(file, args, options = {}) {
  const done = spawnSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20, ...options })
  if (done.error) throw done.error
  if (done.status === 0) return done.stdout
  const tail = `${done.stdout}${done.stderr}`.trim().split('\n').slice(-15).join('\n')
  throw new Error(`${path.basename(file)} ${args.join(' ')} ended with ${done.status ?? done.signal}:\n${tail}`)
}

let indexIsFresh = false

/** Installs Debian packages where that is possible; returns whether it did. */
export function aptInstall(...packages) {
  if (!isRoot || !which('apt-get')) return false
  say(`installing ${packages.join(', ')} …`)
  // RUNLEVEL=1: the packages' own services stay down, we start ours beside them.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  try {
    if (!indexIsFresh) runProgram('apt-get', ['update', '-qq'], { env })
    indexIsFresh = true
    runProgram('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env })
    return true
  } catch (error) {
    say(`apt-get could not install ${packages.join(', ')}: ${error.message}`)
    return false
  }
}

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answers(port) {
  const socket = net.connect(port, '127.0.0.1')
  return await new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  }).finally(() => socket.destroy())
}

/** What a service left behind when it was started: `{ pid, port, … }`; undefined when it does not run any more. */
export function findService(name) {
  const file = path.join(PARTS, `${name}.json`)
  if (!existsSync(file)) return undefined
  const service = JSON.parse(readFileSync(file, 'utf8'))
  return commandLine(service.pid).includes(service.mark) ? service : undefined
}

/** A pid may belong to somebody else by now; its command line tells. */
function commandLine(pid) {
  if (existsSync('/proc/self/cmdline')) {
    const file = `/proc/${pid}/cmdline`
    return existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', ' ') : ''
  }
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
}

/**
 * Starts a service in the background and waits until its port answers. `settings` are kept with its pid; `mark` is a part
 * of its command line by which it is known again.
 */
export async function startService(name, [file, ...args], { port, mark, env = {}, settings = {} }) {
  const logFile = path.join(PARTS, `${name}.log`)
  const log = openSync(logFile, 'w')
  const child = spawn(file, args, { cwd: PARTS, detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...env } })
  closeSync(log)
  const ended = new Promise((resolve) =>
    child.once('error', resolve).once('exit', (code) => resolve(new Error(`it ended with ${code}`))),
  )
  let failure
  void ended.then((error) => (failure = error))
  for (let tries = 0; tries < 600 && !failure; tries++) {
    if (await answers(port)) {
      const service = { pid: child.pid, port, mark, ...settings }
      writeFileSync(path.join(PARTS, `${name}.json`), JSON.stringify(service, null, 2), { mode: 0o600 })
      child.unref()
      return service
    }
    await pause(100)
  }
  if (!failure) child.kill('SIGKILL')
  throw new Error(
    `${name} did not start: ${failure?.message ?? 'no answer in 60 s'}\n${readFileSync(logFile, 'utf8').slice(-2000)}`,
  )
}

/** Stops a service that was started here, and waits until it is gone. */
export async function stopService(name, signal = 'SIGTERM') {
  const service = findService(name)
  if (service) {
    process.kill(service.pid, signal)
    for (let tries = 0; tries < 100 && findService(name); tries++) await pause(100)
    if (findService(name)) process.kill(service.pid, 'SIGKILL')
  }
  rmSync(path.join(PARTS, `${name}.json`), { force: true })
}

/** Only one script at a time installs and starts; one that died in the middle is taken over. */
export async function withLock(fn) {
  mkdirSync(PARTS, { recursive: true })
  const file = path.join(PARTS, 'lock')
  for (let tries = 0; ; tries++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      if (!commandLine(Number(readFileSync(file, 'utf8'))).includes('real-parts')) rmSync(file, { force: true })
      else if (tries === 0) say('another run installs or starts them; waiting …')
      await pause(250)
    }
  }
  try {
    return await fn()
  } finally {
    rmSync(file, { force: true })
  }
}
