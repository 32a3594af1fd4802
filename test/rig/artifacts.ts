import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Workstation } from './project.ts'

/** Makes the station's folder a repository with the artifacts `model`, `plain` and `sub:inner`, of some versions and stages. */
export async function writeArtifacts(station: Workstation): Promise<void> {
  const { dir } = station
  mkdirSync(path.join(dir, 'sub'))
  writeFileSync(path.join(dir, 'dvc.yaml'), 'artifacts:\n  model:\n    path: model.bin\n  plain:\n    path: dvc.yaml\n')
  mkdirSync(path.join(dir, 'sub/folder'))
  writeFileSync(path.join(dir, 'sub/folder/a'), 'a\n')
  writeFileSync(path.join(dir, 'sub/dvc.yaml'), 'artifacts:\n  inner:\n    path: folder\n')
  station.git('init', '-q')
  await station.cairn('init')
  await station.cairn('add', 'sub/folder')
  for (const state of [1, 2, 3]) {
    writeFileSync(path.join(dir, 'model.bin'), `weights ${state}\n`)
    await station.cairn('add', 'model.bin')
    station.git('add', '-A')
    station.git('commit', '-qm', `state ${state}`)
  }
  for (const [name, commit] of [
    ['model@v1.0.0', 'HEAD~2'],
    ['model@v2.0.0', 'HEAD~1'],
    ['model@v10.0.0-rc1', 'HEAD'],
    ['model#prod#1', 'HEAD~2'],
    ['model#dev', 'HEAD~1'],
    ['sub=inner@v0.1.0', 'HEAD'],
    ['plain@v1.0.0', 'HEAD'],
  ] as const)
    station.git('tag', '-a', '-m', 'by hand', name, commit)
  station.git('tag', 'model@v99.0.0')
}
