// The door to every npm script. It has no dependencies and runs on Node 18 and later: it installs when the lockfile
// changed, then runs the task under the Node that the install pinned, with that Node first on PATH.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const windows = process.platform === 'win32'
process.chdir(root)

const tasks = {
  build: [['scripts/build.mjs']],
  start: [['scripts/build.mjs'], ['server/dist/cairn-server.mjs', 'serve']],
  test: [['scripts/build.mjs'], ['node_modules/vitest/vitest.mjs', 'run']],
  'test:real': [['scripts/build.mjs'], ['scripts/test-real.mjs']],
  walkthrough: [['scripts/build.mjs'], ['test/e2e/walkthrough-main.ts']],
  bench: [['scripts/build.mjs'], ['bench/main.ts']],
  lint: [['scripts/lint.mjs']],
  format: [['node_modules/prettier/bin/prettier.cjs', '--write', '.']],
}

function installIfNeeded() {
  const wanted = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex')
  const stamp = 'node_modules/.cairn-lock'
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  console.error('cairn: installing packages (only when package-lock.json changed) …')
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const done = npm
    ? spawnSync(process.execPath, [npm, ...args], { stdio: ['ignore', 2, 2] })
    : spawnSync('npm', args, { stdio: ['ignore', 2, 2], shell: windows })
  if (done.status !== 0) process.exit(done.status ?? 1)
  writeFileSync(stamp, wanted)
}

function pinnedNode() {
  const folder = `node-${windows ? 'win' : process.platform}-${process.arch}`
  const node = path.join(root, 'node_modules', folder, 'bin', windows ? 'node.exe' : 'node')
  return existsSync(node) ? node : process.execPath
}

/** Runs one step to its end; signals go to the child, so that Ctrl-C stops the server and not only npm. */
function runStep(node, args) {
  const env = { ...process.env, PATH: path.dirname(node) + path.delimiter + process.env.PATH }
  const child = spawn(node, args, { stdio: 'inherit', env })
  const forward = (signal) => child.kill(signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, forward)
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      for (const name of signals) process.off(name, forward)
      resolve(code ?? (signal === 'SIGKILL' ? 137 : 143))
    })
  })
}

const task = tasks[process.argv[2]]
if (!task) {
  console.error(`cairn: unknown task '${process.argv[2]}'. Tasks: ${Object.keys(tasks).join(', ')}`)
  process.exit(2)
}
installIfNeeded()
const node = pinnedNode()
for (const [index, step] of task.entries()) {
  const extra = index === task.length - 1 ? process.argv.slice(3) : []
  const code = await runStep(node, [...step, ...extra])
  if (code !== 0) process.exit(code)
}
