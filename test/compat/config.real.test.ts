import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CAIRN, createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

let station: Workstation
beforeEach(() => {
  station = createWorkstation()
})
afterEach(() => station.remove())

/** One step of a session: what it printed, how it ended and what the config files are then. */
type Step = { args: string; code: number; stdout: string; stderr: string; project: string; local: string }

function readIfThere(file: string): string {
  try {
    return readFileSync(path.join(station.dir, file), 'utf8')
  } catch {
    return ''
  }
}

/** The same commands in the same fresh folder, by one client. */
async function session(client: string, commands: readonly string[]): Promise<Step[]> {
  rmSync(station.dir, { recursive: true })
  mkdirSync(path.join(station.dir, 'sub'), { recursive: true })
  station.git('init', '-q')
  const steps: Step[] = []
  for (const command of commands) {
    const done = await run(client, command.split(' '), { cwd: station.dir, env: station.env })
    const isInit = command === 'init'
    steps.push({
      args: command,
      code: done.code,
      // dvc prints the whole help with a usage error, and both have words of their own after init.
      stdout: isInit ? (done.stdout.split('What')[0] ?? '') : done.code === 254 ? '' : done.stdout.replace(/ +$/gm, ''),
      stderr: done.stderr.split('\n')[0] ?? '',
      project: readIfThere('.dvc/config'),
      local: readIfThere('.dvc/config.local'),
    })
  }
  return steps
}

test('init, remote and config print, write and refuse the same as dvc', async () => {
  const commands = [
    'init',
    'init',
    'remote add -d Storage ../store',
    'remote add s3r s3://bucket/path',
    'remote add foo foo://x',
    'remote add storage x',
    'remote modify storage type hardlink,copy',
    'remote modify --local s3r secret_access_key a#b"c',
    'remote modify --local s3r user x',
    'remote modify s3r region eu',
    'remote modify s3r url ./here',
    'remote modify --local s3r profile x',
    'remote modify --local s3r -u profile',
    'config cache.type reflink,copy',
    'config cache.type',
    'config core.autostage TRUE',
    'config core.autostage',
    'config core.nosuch 1',
    'config core.autostage maybe',
    'config nosuch.x y',
    'config nodot',
    'config -l',
    'config --local core.remote',
    'config -u core.machine',
    'config',
    'config cache.dir ../cc',
    'config cache.dir',
    'cache dir',
    '--cd sub cache dir ./x',
    'cache dir',
    'cache dir -u',
    'config remote.storage.url',
    'config remote.new2.user ../zz',
    'remote default',
    'remote default nope',
    'remote default s3r',
    'remote list',
    'remote remove nope',
    'remote rename nope a',
    'remote rename s3r storage',
    'remote remove storage',
    'config -l --show-origin',
    'config core.checksum_jobs abc',
    '--cd sub root',
    'remote default -u',
    'remote default',
  ]
  expect(await session(CAIRN, commands)).toEqual(await session(realParts().dvc, commands))
})

test('dvc reads what cairn has edited in a file that people wrote', async () => {
  station.git('init', '-q')
  await station.cairn('init')
  await station.cairn('remote', 'add', '-d', 'team', 'http://127.0.0.1:1/dvc/x')
  for (const value of ['a b', ' a ', 'a,b', '#a', "it's", 'say "hi"', '"a"', "'a'", 'é', '=', '[x]']) {
    await station.cairn('remote', 'modify', '--local', 'team', 'password', value)
    const read = await run(realParts().dvc, ['config', 'remote.team.password'], { cwd: station.dir, env: station.env })
    expect([read.code, read.stdout], JSON.stringify(value)).toEqual([0, `${value}\n`])
    expect((await station.cairn('config', 'remote.team.password')).stdout).toBe(`${value}\n`)
  }
})
