// Bundles the CLI (one that starts fast, and once more as a single file) and the server.
import { build } from 'esbuild'
import { readFileSync, renameSync, rmSync } from 'node:fs'
import { bundleCli } from './bundle-cli.mjs'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
const shared = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'warning',
  define: { CAIRN_VERSION: JSON.stringify(version) },
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
}

// Node's own `import` of a built-in module reads each of its exports, and some of node:http's and node:crypto's load half of
// Node when they are read: a third of what a push costs before its first question. Here only what is used is read.
const builtin = (path) => `process.getBuiltinModule(${JSON.stringify(path)})`
const builtinModule = (path) => {
  const names = Object.keys(Object.getOwnPropertyDescriptors(process.getBuiltinModule(path))).filter(
    (name) => /^[A-Za-z]\w*$/.test(name) && name !== 'default',
  )
  return [
    `const builtin = /* @__PURE__ */ (() => ${builtin(path)})()`,
    'export default builtin',
    ...names.map((name) => `const $${name} = /* @__PURE__ */ (() => builtin.${name})(); export { $${name} as ${name} }`),
  ].join('\n')
}
const single = {
  ...shared,
  banner: { js: `const require = ${builtin('node:module')}.createRequire(import.meta.url);` },
  plugins: [
    {
      name: 'builtins-without-a-facade',
      setup(b) {
        b.onResolve({ filter: /^node:/ }, ({ path, kind }) => ({
          path,
          namespace: kind === 'require-call' ? 'required' : 'imported',
        }))
        b.onLoad({ filter: /./, namespace: 'required' }, ({ path }) => ({ contents: `module.exports = ${builtin(path)}` }))
        b.onLoad({ filter: /./, namespace: 'imported' }, ({ path }) => ({ contents: builtinModule(path) }))
      },
    },
  ],
}

// Built aside and swapped in: a command that starts during a build finds the old bundle or the new one.
const fresh = `dist.${process.pid}.new`
await Promise.all([
  bundleCli(`client-cli/${fresh}`, shared),
  build({
    ...single,
    entryPoints: ['client-cli/src/main.ts'],
    outfile: `client-cli/${fresh}/cairn-single.mjs`,
    external: ['minio'],
    minifySyntax: true,
    minifyWhitespace: true,
  }),
  build({
    ...shared,
    target: 'node24',
    entryPoints: { 'cairn-server': 'server/src/main.ts', 'hash-thread-worker': 'server/src/adapters/hash-thread/worker.ts' },
    outdir: `server/${fresh}`,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    packages: 'external',
    sourcemap: true,
    // The protocol package is ours and is TypeScript, so it is bundled; everything from the registry stays outside.
    plugins: [
      {
        name: 'bundle-protocol',
        setup(b) {
          b.onResolve({ filter: /^@cairn\/protocol\// }, ({ path }) => ({
            path: new URL(`../protocol/src/${path.slice('@cairn/protocol/'.length)}.ts`, import.meta.url).pathname,
          }))
        },
      },
    ],
  }),
])

for (const side of ['client-cli', 'server']) swapIn(side)

function swapIn(side) {
  const old = `${side}/dist.${process.pid}.old`
  try {
    renameSync(`${side}/dist`, old)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  renameSync(`${side}/${fresh}`, `${side}/dist`)
  rmSync(old, { recursive: true, force: true })
}
