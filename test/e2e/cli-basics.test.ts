import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CAIRN, createWorkstation, ROOT, run, type Workstation } from '../rig/project.ts'

let station: Workstation
beforeEach(() => {
  station = createWorkstation()
})
afterEach(() => station.remove())

const read = (file: string) => readFileSync(path.join(station.dir, file), 'utf8')
const write = (file: string, text: string) => {
  mkdirSync(path.dirname(path.join(station.dir, file)), { recursive: true })
  writeFileSync(path.join(station.dir, file), text)
}
const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string }

/** A repository in Git, as everything below `init` needs it. */
async function repository(): Promise<void> {
  station.git('init', '-q')
  await station.cairn('init', '-q')
}

describe('cairn', () => {
  test('tells its version wherever it is asked', async () => {
    for (const args of [['--version'], ['-V'], ['-q', '-V'], ['root', '--version']]) {
      expect((await station.cairn(...args)).stdout).toBe(`${version}\n`)
    }
  })

  test('is one file that needs nothing beside Node', async () => {
    const single = path.join(station.home, 'cairn.mjs')
    writeFileSync(single, readFileSync(path.join(ROOT, 'client-cli/dist/cairn-single.mjs')))
    const done = await run(process.execPath, [single, 'init', '--no-scm'], { cwd: station.dir, env: station.env })
    expect([done.code, done.stderr]).toEqual([0, ''])
    expect((await run(process.execPath, [single, '--version'], { cwd: station.dir })).stdout).toBe(`${version}\n`)
  })

  test('helps on stdout, and complains on stderr with the code for usage', async () => {
    const help = await station.cairn('--help')
    expect(help.stdout).toMatch(/Usage: cairn[^]*\n {2}init +Make a repository[^]*\n {2}remote +add, list, modify/)
    const unknown = await station.tryCairn('innit')
    expect([unknown.code, unknown.stdout, unknown.stderr]).toEqual([
      254,
      '',
      "ERROR: 'innit' is not a command\nDid you mean init? See 'cairn --help'.\n",
    ])
    const bare = await station.tryCairn()
    expect([bare.code, bare.stdout]).toEqual([254, help.stdout])
    const flag = await station.tryCairn('init', '--bad')
    expect([flag.code, flag.stderr]).toEqual([
      254,
      "ERROR: unrecognized arguments: --bad\nUsage: cairn init [options] [dir]\nSee 'cairn init --help'.\n",
    ])
  })

  test('outside of a repository says so as dvc does', async () => {
    const done = await station.tryCairn('root')
    expect([done.code, done.stdout]).toEqual([253, ''])
    expect(done.stderr).toMatch(/^ERROR: you are not inside of a DVC repository \(checked up to mount point '\/.*'\)\n/)
    write('.dvc', 'a file')
    expect((await station.tryCairn('root')).code).toBe(253)
  })

  test('a reader that leaves early ends it with 141', async () => {
    const child = spawn(CAIRN, ['--help'], {
      cwd: station.dir,
      env: { ...process.env, ...station.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.destroy()
    const stderr: string[] = []
    child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.push(text))
    expect([(await once(child, 'close'))[0], stderr.join('')]).toEqual([141, ''])
  })

  test('works without HOME, and from a folder given by --cd', async () => {
    await repository()
    mkdirSync(path.join(station.dir, 'a/b'), { recursive: true })
    const done = await run(CAIRN, ['--cd', 'a/b', 'root'], {
      cwd: station.dir,
      env: { ...station.env, HOME: undefined, XDG_CONFIG_HOME: undefined },
    })
    expect([done.code, done.stdout, done.stderr]).toEqual([0, '../..\n', ''])
    expect((await station.cairn('root', '--cd', 'a')).stdout).toBe('..\n')
    expect(await station.tryCairn('--cd', 'nowhere', 'root')).toMatchObject({
      code: 255,
      stderr: "ERROR: --cd: no such folder: 'nowhere'\n",
    })
  })

  test('doctor says what is here, and what dvc would refuse', async () => {
    await repository()
    await station.cairn('remote', 'add', 'up', 'http://localhost:1/dvc/x')
    write('.dvc/config.local', '[core]\n    from_tomorrow = 1\n')
    const { code, stdout } = await station.tryCairn('doctor')
    expect(code).toBe(1)
    expect(stdout).toMatch(/\nLinks possible from the cache: .*hardlink, symlink, copy\nRemote up \(http:.*localhost:1.*\nGit: /)
    expect(stdout).toMatch(new RegExp(`^Cairn version: ${version}\n-+\n[^]*Remotes: http\n[^]*Repo: dvc, git\n`))
    expect(stdout).toContain("config.local: extra keys not allowed @ data['core']['from_tomorrow']")
  })
})

test('doctor --json says of a sound repository that it is one', async () => {
  await repository()
  mkdirSync(path.join(station.home, 'store'))
  await station.cairn('remote', 'add', 'store', path.join(station.home, 'store'))
  const { repository: found } = JSON.parse((await station.cairn('doctor', '--json')).stdout) as { repository: unknown }
  expect(found).toMatchObject({
    links: { hardlink: true, symlink: true, copy: true },
    remotes: [{ name: 'store', reachable: true }],
    git: { head: null, dirty: true },
    config: [],
  })
})

describe('init', () => {
  test('writes what dvc writes and stages it', async () => {
    station.git('init', '-q')
    const { stdout, stderr } = await station.cairn('init')
    expect(stdout).toMatch(/^Initialized DVC repository\.\n\nYou can now commit the changes to git\.\n\nWhat's next\?\n/)
    expect(stderr).toBe('')
    expect([read('.dvc/.gitignore'), read('.dvc/config'), read('.dvc/tmp/btime')]).toEqual([
      '/config.local\n/tmp\n/cache\n',
      '',
      '',
    ])
    expect(read('.dvcignore')).toHaveLength(139)
    expect(existsSync(path.join(station.dir, '.dvc/cache'))).toBe(false)
    expect(station.git('status', '--porcelain')).toBe('A  .dvc/.gitignore\nA  .dvc/config\nA  .dvcignore')
  })

  test('--no-scm notes that there is no Git', async () => {
    const { stdout } = await station.cairn('init', '--no-scm')
    expect(stdout).not.toContain('git.')
    expect([read('.dvc/config'), existsSync(path.join(station.dir, '.dvc/.gitignore'))]).toEqual([
      '[core]\n    no_scm = True\n',
      false,
    ])
  })

  test("--subdir works below Git's root, which nothing else does", async () => {
    station.git('init', '-q')
    mkdirSync(path.join(station.dir, 'sub'))
    const sub = station.at(path.join(station.dir, 'sub'))
    expect(await sub.tryCairn('init')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not tracked by any supported SCM tool') as string,
    })
    await sub.cairn('init', '--subdir')
    expect(station.git('status', '--porcelain')).toContain('A  sub/.dvc/config')
  })

  test('refuses what dvc refuses and leaves everything as it was', async () => {
    const refused = async (...args: string[]) => {
      const done = await station.tryCairn('init', ...args)
      return [done.code, done.stderr.split('\n')[0]]
    }
    expect(await refused()).toEqual([
      1,
      expect.stringMatching(/^ERROR: failed to initiate DVC - .* is not tracked by any supported SCM tool/),
    ])
    expect(await refused('--no-scm', '--subdir')).toEqual([255, 'ERROR: Cannot initialize repo with `--no-scm` and `--subdir`'])
    station.git('init', '-q')
    write('.gitignore', '.dvc\n')
    expect(await refused()).toEqual([1, expect.stringContaining('.dvc is ignored by your SCM tool')])
    expect(existsSync(path.join(station.dir, '.dvc'))).toBe(false)
    write('.gitignore', '')
    write('.dvcignore', 'mine\n')
    await station.cairn('init')
    expect(read('.dvcignore')).toBe('mine\n')
    expect(await refused()).toEqual([1, "ERROR: failed to initiate DVC - '.dvc' exists. Use `-f` to force."])
  })

  test('-f begins anew but keeps the cache, which may hold the only copy of something', async () => {
    await repository()
    write('.dvc/cache/files/md5/ab/c', 'object')
    await station.cairn('remote', 'add', 'r', '/r')
    await station.cairn('init', '-f')
    expect([read('.dvc/config'), read('.dvc/cache/files/md5/ab/c')]).toEqual(['', 'object'])
  })
})

describe('remotes', () => {
  beforeEach(repository)

  test('add writes as dvc does: plain sections first, paths relative to the file, names in lower case', async () => {
    expect((await station.cairn('remote', 'add', '-d', 'Storage', '../store')).stdout).toBe(
      "Setting 'storage' as a default remote.\n",
    )
    mkdirSync(path.join(station.dir, 'sub'))
    await station.cairn('--cd', 'sub', 'remote', 'add', 'r', './rel')
    await station.cairn('remote', 'add', 'team', 'http://127.0.0.1:8787/dvc/images')
    await station.cairn('config', 'cache.type', 'reflink,copy')
    expect(read('.dvc/config')).toBe(
      `[core]\n    remote = storage\n[cache]\n    type = "reflink,copy"\n['remote "storage"']\n    url = ../../store\n` +
        `['remote "r"']\n    url = ../sub/rel\n['remote "team"']\n    url = http://127.0.0.1:8787/dvc/images\n`,
    )
    expect((await station.cairn('remote', 'list')).stdout).toBe(
      `storage ${path.join(station.home, 'store')}`.padEnd(
        (Math.floor((8 + path.join(station.home, 'store').length) / 8) + 1) * 8,
      ) + `(default)\nr       ${path.join(station.dir, 'sub/rel')}\nteam    http://127.0.0.1:8787/dvc/images\n`,
    )
  })

  test('a taken name, an unknown scheme, an unknown remote and an unknown option leave the file alone', async () => {
    await station.cairn('remote', 'add', 'r', '/r')
    const before = read('.dvc/config')
    const refused = async (...args: string[]) => {
      const done = await station.tryCairn(...args)
      return [done.code, done.stderr.split('\n')[0]?.replace('ERROR: configuration error - config file error: ', '')]
    }
    expect(await refused('remote', 'add', 'R', '/x')).toEqual([
      251,
      "remote 'r' already exists. Use `-f|--force` to overwrite it.",
    ])
    expect(await refused('remote', 'add', 'x', 'foo://y')).toEqual([
      251,
      "Unsupported URL type foo:// for dictionary value @ data['remote']['x']",
    ])
    expect(await refused('remote', 'modify', 'nor', 'url', '/x')).toEqual([251, "remote 'nor' doesn't exist."])
    expect(await refused('remote', 'modify', 'r', 'nosuch', 'x')).toEqual([
      251,
      "extra keys not allowed @ data['remote']['r']['nosuch']",
    ])
    expect(await refused('remote', 'default', 'nor')).toEqual([251, 'default remote must be present in remote list.'])
    expect(await refused('remote', 'remove', 'nor')).toEqual([251, "remote 'nor' doesn't exist."])
    expect((await refused('remote', 'add', 'a"b', '/x'))[0]).toBe(254)
    expect(read('.dvc/config')).toBe(before)
  })

  test('--force replaces a remote with its options', async () => {
    await station.cairn('remote', 'add', 'r', 'http://old')
    await station.cairn('remote', 'modify', 'r', 'user', 'ada')
    await station.cairn('remote', 'add', '-f', 'r', 'http://new')
    expect(read('.dvc/config')).toBe(`['remote "r"']\n    url = http://new\n`)
  })

  test('a password goes into a local file that only its owner reads, or is warned about', async () => {
    await station.cairn('remote', 'add', 'r', 'http://h')
    await station.cairn('remote', 'modify', '--local', 'r', 'password', 'a#"b, %(c)s')
    expect(read('.dvc/config.local')).toBe(`['remote "r"']\n    password = 'a#"b, %(c)s'\n`)
    expect(statSync(path.join(station.dir, '.dvc/config.local')).mode & 0o777).toBe(0o600)
    expect((await station.cairn('config', 'remote.r.password')).stdout).toBe('a#"b, %(c)s\n')
    expect((await station.cairn('remote', 'modify', 'r', 'password', 'x')).stderr).toMatch(
      /^WARNING: 'password' now stands in \.dvc\/config/,
    )
  })

  test('modify sets and unsets', async () => {
    await station.cairn('remote', 'add', 'r', 'http://h')
    await station.cairn('remote', 'modify', 'r', 'jobs', '4')
    await station.cairn('remote', 'modify', 'r', 'jobs', '8')
    await station.cairn('remote', 'modify', 'r', 'user', 'ada')
    await station.cairn('remote', 'modify', 'r', '--unset', 'user')
    expect(read('.dvc/config')).toBe(`['remote "r"']\n    url = http://h\n    jobs = 8\n`)
    expect((await station.tryCairn('remote', 'modify', 'r', '-u', 'user')).stderr).toContain(
      `option 'user' doesn't exist in section 'remote "r"'`,
    )
  })

  test('default prints, sets and unsets', async () => {
    expect(await station.tryCairn('remote', 'default')).toMatchObject({ code: 1, stdout: 'No default remote set\n' })
    await station.cairn('remote', 'add', 'r', '/r')
    await station.cairn('remote', 'default', 'R')
    expect((await station.cairn('remote', 'default')).stdout).toBe('r\n')
    await station.cairn('remote', 'default', '-u')
    expect(read('.dvc/config')).toBe(`['remote "r"']\n    url = /r\n`)
  })

  test('rename and remove take the default and the private options along', async () => {
    await station.cairn('remote', 'add', '-d', 'old', 'http://h')
    await station.cairn('remote', 'modify', '--local', 'old', 'user', 'ada')
    await station.cairn('remote', 'rename', 'old', 'new')
    expect([read('.dvc/config'), read('.dvc/config.local')]).toEqual([
      `[core]\n    remote = new\n['remote "new"']\n    url = http://h\n`,
      `['remote "new"']\n    user = ada\n`,
    ])
    await station.cairn('remote', 'remove', 'new')
    expect([read('.dvc/config'), read('.dvc/config.local')]).toEqual(['', ''])
  })
})

describe('config', () => {
  beforeEach(repository)

  test('gets, sets and unsets; an option that is not set prints nothing', async () => {
    expect((await station.cairn('config', 'core.autostage')).stdout).toBe('')
    await station.cairn('config', 'Core.Autostage', 'true')
    expect((await station.cairn('config', 'core.autostage')).stdout).toBe('true\n')
    await station.cairn('config', '-u', 'core.autostage')
    expect(read('.dvc/config')).toBe('')
    expect(await station.tryCairn('config', '-u', 'core.autostage')).toMatchObject({ code: 251 })
    expect(await station.tryCairn('config', '--local', 'core.autostage')).toMatchObject({
      code: 251,
      stderr: "ERROR: configuration error - config file error: option 'autostage' doesn't exist in section 'core'\n",
    })
  })

  test('keeps comments, order, line ends and what it does not know', async () => {
    write('.dvc/config', '\uFEFF# ours\r\n[core]\r\n  # why\r\n  analytics = false # asked\r\n[future]\r\n  x = 1\r\n')
    await station.cairn('config', 'core.analytics', 'true')
    await station.cairn('config', 'core.autostage', 'true')
    expect(read('.dvc/config')).toBe(
      '# ours\r\n[core]\r\n  # why\r\n  analytics = true # asked\r\n  autostage = true\r\n[future]\r\n  x = 1\r\n',
    )
  })

  test('lists every level, the remotes first, and says where from', async () => {
    await station.cairn('config', '--global', 'core.analytics', 'false')
    await station.cairn('remote', 'add', '-d', 'r', '../r')
    await station.cairn('config', '--local', 'core.remote', 'r')
    expect((await station.cairn('config', '-l')).stdout).toBe(
      `core.analytics=false\nremote.r.url=${path.join(station.home, 'r')}\ncore.remote=r\ncore.remote=r\n`,
    )
    expect((await station.cairn('config', '-l', '--show-origin', '--local')).stdout).toBe('.dvc/config.local\tcore.remote=r\n')
  })

  test('refuses names, levels and values that are none', async () => {
    const code = async (...args: string[]) => (await station.tryCairn('config', ...args)).code
    expect(await code('nodot', 'x')).toBe(254)
    expect(await code('--local', '--global', 'core.remote', 'x')).toBe(254)
    expect(await code()).toBe(1)
    expect(await code('core.nosuch', 'x')).toBe(251)
    expect(await code('core.autostage', 'maybe')).toBe(251)
    expect(read('.dvc/config')).toBe('')
  })

  test('outside of a repository only the user and the machine have a configuration', async () => {
    const outside = station.at(station.home)
    await outside.cairn('config', '--global', 'core.analytics', 'false')
    expect((await outside.cairn('config', 'core.analytics')).stdout).toBe('false\n')
    expect(await outside.tryCairn('config', 'core.analytics', 'false')).toMatchObject({
      code: 251,
      stderr: 'ERROR: configuration error - config file error: Not inside a DVC repo\n',
    })
  })

  test('a file that cannot be parsed stops every command with its name and line', async () => {
    write('.dvc/config', '[core]\n<<<<<<< HEAD\n    remote = a\n')
    const done = await station.tryCairn('cache', 'dir')
    expect(done.code).toBe(251)
    expect(done.stderr).toMatch(
      /^ERROR: configuration error - config file error: .*\.dvc\/config: Invalid line .* at line 2\.\nThe file holds a merge conflict\.\n$/,
    )
  })

  test.runIf(process.getuid?.() !== 0)('a file that may not be read stops every command with its name', async () => {
    chmodSync(path.join(station.dir, '.dvc/config'), 0)
    expect(await station.tryCairn('cache', 'dir')).toMatchObject({
      code: 251,
      stderr: expect.stringContaining('.dvc/config') as string,
    })
  })

  test('cache dir prints the folder in force', async () => {
    expect((await station.cairn('cache', 'dir')).stdout).toBe(`${path.join(station.dir, '.dvc/cache')}\n`)
    await station.cairn('cache', 'dir', '../shared')
    expect([read('.dvc/config'), (await station.cairn('cache', 'dir')).stdout]).toEqual([
      '[cache]\n    dir = ../../shared\n',
      `${path.join(station.home, 'shared')}\n`,
    ])
    await station.cairn('cache', 'dir', '-u')
    expect(read('.dvc/config')).toBe('')
  })
})

describe('signals and locks', () => {
  beforeEach(repository)

  /** A stage that says when it runs and then sleeps, started and seen running. */
  async function startSlowStage(): Promise<{ signal(name: NodeJS.Signals): void; ended: Promise<[number, string]> }> {
    const args = ['run', '-f', 'slow.dvc', '-o', 'out', 'echo $$ > started; sleep 60; touch out']
    const child = spawn(CAIRN, args, {
      cwd: station.dir,
      env: { ...process.env, ...station.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const ended = once(child, 'close').then(([code]): [number, string] => [code as number, stderr])
    await expect
      .poll(() => existsSync(path.join(station.dir, 'started')) && read('started').endsWith('\n'), { timeout: 20_000 })
      .toBe(true)
    return { signal: (name) => child.kill(name), ended }
  }

  test.each([
    ['SIGINT', 252, 'ERROR: interrupted by the user'],
    ['SIGTERM', 143, 'ERROR: interrupted by SIGTERM'],
  ] as const)('%s ends the running command and everything it started, with %i and one line', async (name, code, words) => {
    const stage = await startSlowStage()
    stage.signal(name)
    const [ended, stderr] = await stage.ended
    expect(ended).toBe(code)
    expect(stderr.trimEnd().split('\n').at(-1)).toBe(words)
    // A killed orphan stays in the process table until it is reaped.
    await expect.poll(() => isGone(-Number(read('started'))), { timeout: 5_000 }).toBe(true)
    expect([existsSync(path.join(station.dir, 'slow.dvc')), existsSync(path.join(station.dir, 'out'))]).toEqual([false, false])
  })

  test('while another program holds the lock a command waits 3 s, then says who it waits for', async () => {
    const holder = spawn('flock', ['.dvc/tmp/lock', 'sh', '-c', 'echo held; exec sleep 60'], {
      cwd: station.dir,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    try {
      await once(holder.stdout, 'data')
      const done = await station.tryCairn('run', '-f', 'x.dvc', '-o', 'x', 'touch x')
      expect(done.code).toBe(255)
      expect(done.stderr).toMatch(/ERROR: Unable to acquire lock\. .*\n.*\.dvc\/tmp\/lock.*\n$/)
      expect(done.milliseconds).toBeGreaterThan(2900)
    } finally {
      process.kill(-(holder.pid ?? 0), 'SIGKILL')
    }
  })
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}
