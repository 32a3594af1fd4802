import { describe, expect, test } from 'vitest'
import { matchStages, shellPattern } from './match-stages.ts'
import { makeStage } from './stage-for-tests.ts'

const stage = (file: string, name: string) => makeStage(`${file}:${name}`, { file, name, kind: 'pipeline' })
const names = (stages: ReturnType<typeof matchStages>) => stages.map(({ file, name }) => `${file}:${name}`)

describe('patterns for stages', () => {
  const stages = [
    stage('dvc.yaml', 'fit@eu:1'),
    stage('dvc.yaml', 'fit@us'),
    stage('dvc.yaml', 'load'),
    stage('sub/dvc.yaml', 'load'),
  ]

  test('stand for the stages of a dvc.yaml', () => {
    expect(names(matchStages(stages, 'fit@*', ''))).toEqual(['dvc.yaml:fit@eu:1', 'dvc.yaml:fit@us'])
    expect(names(matchStages(stages, 'l?ad', 'sub'))).toEqual(['sub/dvc.yaml:load'])
    expect(names(matchStages(stages, '../dvc.yaml:[fl]*[!s1]', 'sub'))).toEqual(['dvc.yaml:load'])
    expect(names(matchStages(stages, 'sub:*', ''))).toEqual(['sub/dvc.yaml:load'])
  })

  test('that fit nothing are a mistake', () => {
    expect(() => matchStages(stages, 'x*', '')).toThrow("no stage in 'dvc.yaml' matches 'x*'")
  })

  test('take what is special to regular expressions for itself', () => {
    expect(shellPattern('a.b+(c)').test('a.b+(c)')).toBe(true)
    expect(shellPattern('a.b').test('axb')).toBe(false)
    expect(shellPattern('[!-]x[]').test('ax[]')).toBe(true)
    expect(shellPattern('a-*').test('a-b')).toBe(true)
  })
})
