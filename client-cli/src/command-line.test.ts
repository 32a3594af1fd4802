import { describe, expect, test } from 'vitest'
import type { Command, CommandEntry } from './command.ts'
import { parseCommandLine } from './command-line.ts'

const push: Command = {
  name: 'push',
  summary: 'Send.',
  arguments: [{ name: '[targets...]', summary: 'What.' }],
  options: [
    { flags: '-r, --remote <name>', summary: 'Where.' },
    { flags: '-c, --cloud', summary: 'There.' },
    { flags: '-d, --deps <path>', summary: 'Deps.', repeatable: true },
    { flags: '--no-exec', summary: 'Only write.' },
  ],
  examples: ['cairn push'],
  run: async () => undefined,
}
const runStage: Command = { ...push, name: 'run', passThrough: true, arguments: [{ name: '<cmd...>', summary: 'Command.' }] }
const remoteAdd: Command = { ...push, name: 'remote add', arguments: [{ name: '<name>', summary: 'Name.' }], options: [] }
const entries: CommandEntry[] = [push, runStage, remoteAdd].map((command) => ({
  name: command.name,
  summary: command.summary,
  load: async () => command,
}))

const parse = (...argv: string[]) => parseCommandLine(argv, entries)
const parseRun = async (...argv: string[]) => {
  const parsed = await parse(...argv)
  if (parsed.type !== 'run') throw new Error(`not a run but ${parsed.type}`)
  return parsed
}

describe('a command line', () => {
  test('takes global options before the name, inside of a group and after the name', async () => {
    expect((await parseRun('-q', '--cd', 'sub', 'push')).globals).toEqual({
      quiet: true,
      verbose: false,
      waitForLock: false,
      cd: 'sub',
    })
    expect((await parseRun('push', '-q', '--cd=sub')).globals).toEqual({
      quiet: true,
      verbose: false,
      waitForLock: false,
      cd: 'sub',
    })
    expect((await parseRun('remote', '-vv', 'add', 'x')).globals).toMatchObject({ quiet: false, verbose: true })
  })

  test('lets q and v stand in a cluster with a flag of the command', async () => {
    const parsed = await parseRun('push', '-qc')
    expect(parsed.globals.quiet).toBe(true)
    expect(parsed.options).toMatchObject({ cloud: true })
  })

  test('takes an abbreviation that can mean only one option, before the name and after it', async () => {
    expect((await parseRun('push', '--rem', 'x', '--clo', '--dep=a')).options).toEqual({
      remote: 'x',
      cloud: true,
      deps: ['a'],
      exec: true,
    })
    expect((await parseRun('--qui', '--wait', 'push', '--verb')).globals).toMatchObject({
      quiet: true,
      verbose: true,
      waitForLock: true,
    })
    await expect(parse('--ver', 'push')).rejects.toMatchObject({
      message: 'ambiguous option: --ver could match --verbose, --version',
    })
    await expect(parse('push', '--c')).rejects.toMatchObject({
      exit: 254,
      message: 'ambiguous option: --c could match --cd, --cloud',
    })
  })

  test("knows dvc's other names of commands", async () => {
    const named = (name: string): CommandEntry => ({ name, summary: '', load: async () => ({ ...push, name }) })
    for (const [typed, name] of [
      [['rm'], 'remove'],
      [['mv', 'x'], 'move'],
      [['experiments', 'ls'], 'exp list'],
      [['exp', 'rm'], 'exp remove'],
    ] as const) {
      const parsed = await parseCommandLine(typed, ['remove', 'move', 'exp list', 'exp remove'].map(named))
      expect(parsed).toMatchObject({ type: 'run', command: { name } })
    }
    await expect(parse('constructor')).rejects.toMatchObject({ exit: 254 })
  })

  test('leaves alone what only looks like an abbreviation', async () => {
    expect((await parseRun('push', '-r', '--rem', '--', '--clo')).args).toEqual(['--clo'])
    expect((await parseRun('push', '-cr', '--clo')).options).toMatchObject({ cloud: true, remote: '--clo' })
    expect((await parseRun('run', '-d', 'x', 'python', '--clo')).args).toEqual(['python', '--clo'])
  })

  test('shows how a command is used below what is wrong with its use', async () => {
    await expect(parse('push', '--bad')).rejects.toMatchObject({
      hint: "Usage: cairn push [options] [targets...]\nSee 'cairn push --help'.",
    })
  })

  test('collects a repeatable option and negates with --no-', async () => {
    const { options, args } = await parseRun('push', '-d', 'a', '-d', 'b', '--no-exec', '-r', 'team', 'x', 'y')
    expect(options).toEqual({ deps: ['a', 'b'], exec: false, remote: 'team' })
    expect(args).toEqual(['x', 'y'])
  })

  test('a repeatable option starts afresh on the next command line', async () => {
    await parseRun('push', '-d', 'a')
    expect((await parseRun('push', '-d', 'b')).options).toMatchObject({ deps: ['b'] })
  })

  test('leaves everything after the first operand of run to the command that is run', async () => {
    const { args, options, globals } = await parseRun('run', '-d', 'code.py', 'python', 'code.py', '-d', 'x', '--version', '-q')
    expect(args).toEqual(['python', 'code.py', '-d', 'x', '--version', '-q'])
    expect(options).toMatchObject({ deps: ['code.py'] })
    expect(globals.quiet).toBe(false)
  })

  test('finds --version wherever a global option may stand', async () => {
    expect(await parse('-V')).toEqual({ type: 'version' })
    expect(await parse('-q', '--version')).toEqual({ type: 'version' })
    expect(await parse('push', '--version')).toEqual({ type: 'version' })
  })

  test('helps: for all, for a group, for a command, each with examples or commands and the exit codes', async () => {
    const all = await parse('--help')
    expect(all).toMatchObject({ type: 'help', code: 0 })
    expect(all).toHaveProperty('text', expect.stringMatching(/push +Send\.[^]*remote +add[^]*254 {2}the command line is wrong/))
    expect(await parse('remote', '--help')).toMatchObject({
      code: 0,
      text: expect.stringContaining('remote add  Send.') as string,
    })
    expect(await parse('push', '-h')).toMatchObject({
      code: 0,
      text: expect.stringMatching(/Example:\n {2}cairn push[^]*Exit codes/) as string,
    })
    expect(await parse('help', 'push')).toEqual(await parse('push', '-h'))
  })

  test('without a command prints the help and fails as a usage error', async () => {
    expect(await parse()).toMatchObject({ type: 'help', code: 254 })
    expect(await parse('remote')).toMatchObject({ type: 'help', code: 254 })
  })

  test('suggests a near command or option', async () => {
    await expect(parse('psuh')).rejects.toMatchObject({
      exit: 254,
      message: "'psuh' is not a command",
      hint: expect.stringContaining('push') as string,
    })
    await expect(parse('remote', 'ad')).rejects.toMatchObject({
      exit: 254,
      hint: expect.stringContaining('remote add') as string,
    })
    await expect(parse('push', '--remoot', 'x')).rejects.toMatchObject({
      exit: 254,
      message: 'unrecognized arguments: --remoot',
      hint: expect.stringContaining('--remote') as string,
    })
  })

  test('says what is missing or too much', async () => {
    await expect(parse('remote', 'add')).rejects.toMatchObject({
      exit: 254,
      message: 'the following arguments are required: name',
    })
    await expect(parse('remote', 'add', 'a', 'b')).rejects.toMatchObject({
      exit: 254,
      message: "too many arguments for 'cairn remote add'",
    })
    await expect(parse('push', '-r')).rejects.toMatchObject({
      exit: 254,
      message: expect.stringContaining('argument missing') as string,
    })
    await expect(parse('--cd')).rejects.toMatchObject({ exit: 254 })
    await expect(parse('--bad', 'push')).rejects.toMatchObject({ exit: 254, message: 'unrecognized arguments: --bad' })
  })
})
