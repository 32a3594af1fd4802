import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROOT } from '../rig/project.ts'

/** File, what it imports, and the sentence that lint answers with; undefined where the import is allowed. */
const IMPORTS: ReadonlyArray<readonly [string, string, RegExp | undefined]> = [
  ['protocol/src/a.ts', '../../server/src/domain/x.ts', /words both sides share/],
  ['protocol/src/b.ts', 'node:fs', /No Node I\/O|no Node I\/O/],
  ['server/src/domain/a.ts', '../adapters/jwt.ts', /decides and knows nobody/],
  ['server/src/domain/b.ts', '../http/app.ts', /decides and knows nobody/],
  ['server/src/domain/c.ts', 'pg', /no library that talks to the outside/],
  ['server/src/domain/d.ts', './ports/catalog.ts', undefined],
  ['server/src/adapters/a.ts', '../http/app.ts', /meet only in wire/],
  ['server/src/adapters/postgres/b.ts', '../../http/app.ts', /meet only in wire/],
  ['server/src/adapters/postgres/c.ts', '../../domain/ports/catalog.ts', undefined],
  ['server/src/adapters/jobs/d.ts', './in-process.ts', undefined],
  ['server/src/adapters/e.ts', '../wire.ts', /stands above both/],
  ['server/src/http/a.ts', '../adapters/jwt.ts', /meet only in wire/],
  ['server/src/http/routes/b.ts', '../../jobs/scrub.ts', /does not run one/],
  ['server/src/http/routes/c.ts', '../../config.ts', /reads no configuration/],
  ['server/src/http/d.ts', 'node:http', undefined],
  ['server/src/jobs/a.ts', '../adapters/jwt.ts', /neither storage nor HTTP/],
  ['server/src/wire.ts', './adapters/jwt.ts', undefined],
  ['server/src/main.ts', '../../client-cli/src/io/x.ts', /only by its protocol/],
  ['client-cli/src/main.ts', '../../server/src/config.ts', /only by its protocol/],
  ['client-cli/src/io/a.ts', '../repo/repo.ts', /ground floor/],
  ['client-cli/src/report/a.ts', '../repo/repo.ts', /finds words/],
  ['client-cli/src/repo/a.ts', '../workspace/open.ts', /stands above it/],
  ['client-cli/src/repo/b.ts', '../cache/object-cache.ts', /siblings/],
  ['client-cli/src/repo/c.ts', '../io/limit.ts', undefined],
  ['client-cli/src/cache/a.ts', '../remote/remote.ts', /does not know what they are for/],
  ['client-cli/src/workspace/a.ts', '../pipeline/stage.ts', /stages and transfers/],
  ['client-cli/src/workspace/b.ts', '../remote/remote.ts', /only in the cache/],
  ['client-cli/src/remote/a.ts', '../transfer/push.ts', /decided above it/],
  ['client-cli/src/pipeline/a.ts', '../transfer/push.ts', /siblings/],
  ['client-cli/src/pipeline/b.ts', '../experiments/run.ts', /does not know what it is run for/],
  ['client-cli/src/experiments/a.ts', '../transfer/push.ts', /a command brings/],
  ['client-cli/src/experiments/b.ts', '../commands/push.ts', /roof of the client/],
  ['client-cli/src/experiments/c.ts', '../pipeline/stage.ts', undefined],
  ['client-cli/src/transfer/a.ts', '../pipeline/stage.ts', /siblings/],
  ['client-cli/src/transfer/b.ts', '../commands/push.ts', /roof of the client/],
  ['client-cli/src/transfer/c.ts', '../remote/remote.ts', undefined],
  ['client-cli/src/commands/a.ts', '../transfer/push.ts', undefined],
]

/** Files with one fault each, and the rule that finds it. */
const FAULTS: ReadonlyArray<readonly [string, string, string]> = [
  ['client-cli/src/io/fault-a.ts', 'export const take = (value: any): unknown => value', 'no-explicit-any'],
  [
    'client-cli/src/io/fault-b.ts',
    'export const move = (a: NodeJS.ReadableStream, b: NodeJS.WritableStream) => a.pipe(b)',
    'no-restricted-properties',
  ],
  ['client-cli/src/io/fault-c.ts', 'export const say = (): void => console.log(1)', 'no-console'],
  ['client-cli/src/io/fault-d.ts', 'export const home = process.env.HOME', 'no-process-env'],
  ['client-cli/src/io/fault-e.ts', 'export default 1', 'no-default-export'],
  ['client-cli/src/io/fault-f.ts', 'export const f = (): void => {\n  Promise.resolve(1)\n}', 'no-floating-promises'],
  ['client-cli/src/io/circle-a.ts', "import { b } from './circle-b.ts'\nexport const a = () => b()", 'no-cycle'],
  ['client-cli/src/io/circle-b.ts', "import { a } from './circle-a.ts'\nexport const b = (): unknown => a()", 'no-cycle'],
]

interface Finding {
  filename: string
  code: string
  help?: string
  message: string
}

describe('lint', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cairn-lint-'))
  let findings: Finding[]

  beforeAll(() => {
    for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json'])
      copyFileSync(path.join(ROOT, file), path.join(folder, file))
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'))
    const write = (file: string, text: string): void => {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
      writeFileSync(path.join(folder, file), `${text}\n`)
    }
    for (const [file, from] of IMPORTS) write(file, `import { x } from '${from}'\nexport const y = x`)
    for (const [file, text] of FAULTS) write(file, text)
    const args = ['--type-aware', '--format=json', 'protocol', 'server', 'client-cli']
    const { stdout, stderr } = spawnSync(path.join(ROOT, 'node_modules/.bin/oxlint'), args, { cwd: folder, encoding: 'utf8' })
    expect(stdout, stderr).toContain('diagnostics')
    findings = (JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(IMPORTS)('%s that imports %s is answered as it should be', (file, _, sentence) => {
    const said = findings.filter(({ filename, code }) => filename === file && code.includes('no-restricted-imports'))
    if (sentence) expect(said.map(({ help, message }) => `${message} ${help ?? ''}`).join('\n')).toMatch(sentence)
    else expect(said).toEqual([])
  })

  test.each(FAULTS)('%s is found', (file, _, rule) => {
    expect(findings.filter(({ filename }) => filename === file).map(({ code }) => code)).toContainEqual(
      expect.stringContaining(rule),
    )
  })
})
