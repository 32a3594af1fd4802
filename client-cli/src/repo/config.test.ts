import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkOption, configProblems } from './config-schema.ts'
import { levelPath, loadConfig, readLevels, storedValue } from './config.ts'

let dir: string
let env: Record<string, string>
let dvcDir: string

beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-config-'))
  env = { HOME: path.join(dir, 'home'), XDG_CONFIG_DIRS: path.join(dir, 'etc') }
  dvcDir = path.join(dir, 'repo', '.dvc')
})
afterEach(() => rmSync(dir, { recursive: true }))

function write(level: 'system' | 'global' | 'project' | 'local', text: string): string {
  const file = levelPath(level, env, dvcDir) ?? ''
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

describe('the four levels', () => {
  test('a later level wins, key by key', () => {
    write('system', '[core]\n    remote = s\n    analytics = false\n')
    write('global', '[core]\n    remote = g\n')
    write('project', `[core]\n    autostage = true\n['remote "up"']\n    url = http://host/dvc/p\n    user = team\n`)
    write('local', `[core]\n    remote = UP\n['remote "up"']\n    password = secret\n`)
    const config = loadConfig(env, dvcDir)
    expect(['remote', 'analytics', 'autostage'].map((key) => config.get('core', key))).toEqual(['up', 'false', 'true'])
    expect(config.defaultRemote()).toEqual({
      name: 'up',
      url: 'http://host/dvc/p',
      options: { user: 'team', password: 'secret' },
    })
  })

  test('stand where XDG and DVC variables put them', () => {
    expect(levelPath('global', { XDG_CONFIG_HOME: '/x' })).toBe('/x/dvc/config')
    expect(levelPath('global', { HOME: '/h' })).toBe('/h/.config/dvc/config')
    expect(levelPath('global', { HOME: '/h', DVC_GLOBAL_CONFIG_DIR: '/g' })).toBe('/g/config')
    expect(levelPath('system', { XDG_CONFIG_DIRS: '/a:/b' })).toBe('/a/dvc/config')
    expect(levelPath('system', {})).toBe('/etc/xdg/dvc/config')
    expect(levelPath('project', {})).toBeUndefined()
  })

  test('without HOME the user table tells', () => {
    expect(levelPath('global', {})).toBe(path.join(os.userInfo().homedir, '.config/dvc/config'))
  })

  test.runIf(process.getuid?.() !== 0)('a file that cannot be read is a configuration error that names it', () => {
    const file = write('global', '')
    chmodSync(file, 0)
    expect(() => loadConfig(env, dvcDir)).toThrow(
      expect.objectContaining({ exit: 251, message: expect.stringContaining(file) as string }),
    )
  })

  test('a folder in the place of a file is a configuration error that names it', () => {
    mkdirSync(path.join(dvcDir, 'config'), { recursive: true })
    expect(() => loadConfig(env, dvcDir)).toThrow(
      expect.objectContaining({ exit: 251, message: expect.stringContaining('.dvc/config') as string }),
    )
  })
})

describe('paths', () => {
  test('are resolved against the folder of their own file; urls and absolute ones stay', () => {
    write('global', `['remote "g"']\n    url = store\n`)
    write(
      'project',
      `[cache]\n    dir = ../../cache\n['remote "r"']\n    url = ../../up\n['remote "s"']\n    url = s3://bucket/x\n    credentialpath = ~/keys\n`,
    )
    const config = loadConfig(env, dvcDir)
    expect(config.get('cache', 'dir')).toBe(path.join(dir, 'cache'))
    expect(config.remote('R').url).toBe(path.join(dir, 'up'))
    expect(config.remote('g').url).toBe(path.join(dir, 'home/.config/dvc/store'))
    expect(config.remote('s')).toMatchObject({ url: 's3://bucket/x', options: { credentialpath: path.join(dir, 'home/keys') } })
  })

  test('are stored relative to the file, from wherever they were typed', () => {
    expect(storedValue('remote "r"', 'url', '../up', '/p/.dvc', '/p')).toBe('../../up')
    expect(storedValue('remote "r"', 'url', './rel', '/p/.dvc', '/p/sub')).toBe('../sub/rel')
    expect(storedValue('remote "r"', 'url', '~/up', '/p/.dvc', '/p')).toBe('~/up')
    expect(storedValue('remote "r"', 'url', 'https://h/x', '/p/.dvc', '/p')).toBe('https://h/x')
    expect(storedValue('remote "r"', 'user', 'a/b', '/p/.dvc', '/p')).toBe('a/b')
  })
})

describe('remotes', () => {
  test('remote:// inherits, own options shadow', () => {
    write(
      'project',
      `['remote "base"']\n    url = ssh://h/srv\n    user = a\n    port = 22\n['remote "sub"']\n    url = remote://base/team/x\n    user = b\n`,
    )
    expect(loadConfig(env, dvcDir).remote('sub')).toEqual({
      name: 'sub',
      url: 'ssh://h/srv/team/x',
      options: { user: 'b', port: '22' },
    })
  })

  test('a circle of remotes, an unknown one, one without a url and no default end in a configuration error', () => {
    write('project', `['remote "a"']\n    url = remote://b\n['remote "b"']\n    url = remote://a\n['remote "c"']\n    user = x\n`)
    const config = loadConfig(env, dvcDir)
    expect(() => config.remote('a')).toThrow(/leads back to itself/)
    expect(() => config.remote('nope')).toThrow("config file error: remote 'nope' doesn't exist")
    expect(() => config.remote('c')).toThrow("expected 'url' for dictionary value @ data['remote']['c']")
    expect(() => config.defaultRemote()).toThrow(
      expect.objectContaining({
        exit: 251,
        message: expect.stringContaining('no remote specified in') as string,
        hint: expect.stringContaining('remote default') as string,
      }),
    )
  })
})

describe('options', () => {
  test('what dvc would refuse is not written, in its words', () => {
    expect(() => checkOption('core', 'nosuch', 'x')).toThrow("config file error: extra keys not allowed @ data['core']['nosuch']")
    expect(() => checkOption('nosuch', 'x', 'x')).toThrow("extra keys not allowed @ data['nosuch']")
    expect(() => checkOption('core', 'autostage', 'maybe')).toThrow(
      "expected true or false for dictionary value @ data['core']['autostage']",
    )
    expect(() => checkOption('cache', 'type', 'copy,bad')).toThrow(
      "Unsupported cache type(s): bad for dictionary value @ data['cache']['type']",
    )
    expect(() => checkOption('remote "x"', 'url', 'foo://y')).toThrow(
      "Unsupported URL type foo:// for dictionary value @ data['remote']['x']",
    )
    expect(() => checkOption('remote "x"', 'constructor', 'y', 'http://h')).toThrow('extra keys not allowed')
    expect(() => checkOption('remote "x"', 'auth', 'custom', 'http://h')).not.toThrow()
    expect(() => checkOption('feature', 'anything', 'x')).not.toThrow()
  })

  test('what dvc would refuse is read all the same, and can be listed', () => {
    const file = write('project', '[core]\n    from_tomorrow = 1\n')
    expect(loadConfig(env, dvcDir).get('core', 'from_tomorrow')).toBe('1')
    expect(configProblems(readLevels(env, dvcDir))).toEqual([`${file}: extra keys not allowed @ data['core']['from_tomorrow']`])
  })
})
