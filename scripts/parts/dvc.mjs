// Stock dvc with its S3 remote, in a virtual environment of its own.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { aptInstall, CACHE, runProgram, say, which } from './service.mjs'

const PACKAGES = ['dvc==3.67.1', 'dvc-s3==3.3.0']

export function installDvc() {
  return { CAIRN_TEST_DVC: path.join(makeVenv(path.join(CACHE, 'dvc-venv'), PACKAGES), 'bin/dvc') }
}

/** Makes a virtual environment with exactly these packages, unless it is there; returns its folder. */
export function makeVenv(folder, packages) {
  const stamp = path.join(folder, 'installed.txt')
  const wanted = packages.join('\n')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return folder
  say(`installing ${packages.join(', ')} …`)
  createVenv(folder)
  runProgram(path.join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', ...packages])
  writeFileSync(stamp, wanted)
  return folder
}

function createVenv(folder) {
  const create = () => runProgram(which('python3') ?? 'python3', ['-m', 'venv', folder])
  try {
    create()
  } catch (error) {
    // Debian splits venv off from python3.
    if (!aptInstall('python3', 'python3-venv')) throw error
    create()
  }
}
