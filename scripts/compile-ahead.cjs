// Runs the everyday commands once inside of this process, on a folder of its own, and writes what V8 compiled for them.
const fs = require('node:fs')
const http = require('node:http')
const { createRequire } = require('node:module')
const os = require('node:os')
const path = require('node:path')
const vm = require('node:vm')

const file = process.argv[2]
const script = new vm.Script(fs.readFileSync(file, 'latin1'), { filename: file })
const loaded = { exports: {} }
script.runInThisContext()(loaded.exports, createRequire(file), loaded, file, path.dirname(file))

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-build-'))
const exit = process.exit
const leave = (code) => {
  fs.rmSync(dir, { recursive: true, force: true })
  exit(code)
}
setTimeout(() => leave(1), 20_000).unref()

/** A command that is done sets a clock to end the process; here there are more to come. */
async function run(...argv) {
  process.exit = () => undefined
  await loaded.exports.runCairn(argv, { HOME: dir, PATH: process.env.PATH })
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM').removeAllListeners('SIGHUP')
}

async function main() {
  process.chdir(dir)
  fs.mkdirSync('.git/info', { recursive: true })
  fs.writeFileSync('.git/HEAD', 'ref: refs/heads/main\n')
  fs.mkdirSync('data')
  for (let n = 0; n < 300; n++) fs.writeFileSync(`data/${n}`, `${n}`)
  const write = [process.stdout, process.stderr].map((stream) => stream.write.bind(stream))
  const silent = (_text, done) => (typeof done === 'function' && done(), true)
  process.stdout.write = process.stderr.write = silent
  // It has nothing; the client's way there is what counts.
  const server = http.createServer((_, answer) => answer.writeHead(404).end()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const commands = [
    ['init', '-q'],
    ['remote', 'add', '-d', 'near', path.join(dir, 'remote')],
    ['remote', 'add', 'far', `http://127.0.0.1:${server.address().port}/p/one`],
    ['add', 'data'],
    ...[['status'], ['add', 'data'], ['checkout'], ['push'], ['push'], ['pull'], ['push', '-r', 'far']],
  ]
  for (const command of commands) await run(...command)
  ;[process.stdout.write, process.stderr.write] = write
  server.close()
  fs.writeFileSync(`${file}.cache`, script.createCachedData())
  leave(0)
}

main().catch((error) => {
  console.error(error)
  leave(1)
})
