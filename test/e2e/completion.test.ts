import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CAIRN, createWorkstation, run, type Workstation } from '../rig/project.ts'

let station: Workstation
let env: Record<string, string>

beforeAll(async () => {
  station = createWorkstation()
  env = { ...station.env, PATH: `${path.dirname(CAIRN)}:${process.env['PATH']}` }
  station.git('init', '-q')
  await station.cairn('init', '-q')
  await station.cairn('remote', 'add', 'team', '/srv/team')
  await station.cairn('remote', 'add', 'backup', '/srv/backup')
  await station.cairn('stage', 'add', '-n', 'prepare', 'true')
  mkdirSync(path.join(station.dir, 'images'))
  writeFileSync(path.join(station.dir, 'predict me'), '')
})
afterAll(() => station.remove())

const has = (program: string) => spawnSync(program, ['--version']).error === undefined
const script = async (shell: string) => (await station.cairn('completion', '-s', shell)).stdout

/** What bash would offer for the last word. */
async function bash(...words: string[]): Promise<string[]> {
  const program = `source <(cairn completion -s bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cairn; printf '%s\\n' "\${COMPREPLY[@]}"`
  const done = await run('bash', ['-c', program, 'bash', 'cairn', ...words], { cwd: station.dir, env })
  expect(done.stderr).toBe('')
  return done.stdout.split('\n').filter((word) => word !== '')
}

describe('bash', () => {
  test('knows how to complete cairn once it has read the script', async () => {
    const program = 'source <(cairn completion -s bash); complete -p cairn'
    const done = await run('bash', ['-c', program], { cwd: station.dir, env })
    expect([done.code, done.stderr, done.stdout]).toEqual([0, '', 'complete -o bashdefault -o default -F _cairn cairn\n'])
  })

  test('completes commands, subcommands and options', async () => {
    expect(await bash('che')).toContain('checkout')
    expect(await bash('-q', '--cd', 'x', 'remote', 'mo')).toEqual(['modify'])
    expect(await bash('checkout', '--rec')).toEqual(['--recursive'])
    expect(await bash('--wait')).toEqual(['--wait-for-lock'])
  })

  test('completes remotes, stages and files where they belong', async () => {
    expect(await bash('push', '-r', '')).toEqual(['team', 'backup'])
    expect(await bash('remote', 'remove', 't')).toEqual(['team'])
    expect(await bash('repro', 'pre')).toEqual(['prepare', 'predict me'])
    // Nothing of ours: bash itself offers files.
    expect(await bash('add', 'im')).toEqual([])
  })
})

describe('zsh', () => {
  test.runIf(has('zsh'))('reads the script', async () => {
    const file = path.join(station.home, '_cairn')
    writeFileSync(file, await script('zsh'))
    const done = await run('zsh', ['-n', file], { cwd: station.dir })
    expect([done.code, done.stderr]).toEqual([0, ''])
    const loaded = 'autoload -U compinit; compinit -u; source <(cairn completion -s zsh); print $_comps[cairn]'
    expect((await run('zsh', ['-fc', loaded], { cwd: station.dir, env })).stdout).toBe('_cairn\n')
  })

  test('gets every option with its description, with what zsh would read as syntax escaped', async () => {
    const text = await script('zsh')
    expect(text.startsWith('#compdef cairn\n')).toBe(true)
    expect(text).toMatch(/'remote add'\) specs=\(.*'\*--default\[.*'\*:files:_files'/)
    expect(spawnSync('bash', ['-n'], { input: `x=(${/'push'\) specs=\((.*)\) ;;/.exec(text)?.[1]})` }).stderr.toString()).toBe('')
  })
})

describe('fish', () => {
  test.runIf(has('fish'))('offers subcommands and options', async () => {
    const offered = async (line: string) => {
      const program = 'cairn completion -s fish | source; complete -C $argv[1]'
      const done = await run('fish', ['-c', program, line], { cwd: station.dir, env })
      return done.stdout.split('\n').map((row) => row.split('\t')[0])
    }
    expect(await offered('cairn remote mo')).toContain('modify')
    expect(await offered('cairn checkout --rec')).toContain('--recursive')
    expect(await offered('cairn push -r t')).toContain('team')
  })

  test('gets a row for every command', async () => {
    const text = await script('fish')
    expect(text).toContain(`complete -c cairn -f -n '__cairn_at "remote"' -a add -d 'Add a remote`)
    expect(text).toMatch(/__cairn_at "checkout"' .*-l recursive -d/)
  })
})

test('another shell is a usage error', async () => {
  expect(await station.tryCairn('completion', '-s', 'tcsh')).toMatchObject({
    code: 254,
    stderr: expect.stringContaining("invalid choice: 'tcsh' (choose from 'bash', 'zsh', 'fish')") as string,
  })
})
