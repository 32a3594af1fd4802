import { expect, test } from 'vitest'
import { chooseTag, type GitTag } from './artifact-tags.ts'

const tags = (...names: string[]): GitTag[] => names.map((name, at) => ({ name, commit: `${at}`, created: 1000 + at }))
const chosen = (names: string[], choice: Parameters<typeof chooseTag>[2], folder = '') =>
  chooseTag(tags(...names), { folder, name: 'model' }, choice)?.name

test('the greatest version is chosen, by the order of semantic versions', () => {
  expect(chosen(['model@v2.0.0', 'model@v10.0.0', 'model@v9.9.9'], {})).toBe('model@v10.0.0')
  expect(chosen(['model@v1.0.0', 'model@v1.0.0-rc1'], {})).toBe('model@v1.0.0')
  expect(chosen(['model@v1.0.0-rc.10', 'model@v1.0.0-rc.9', 'model@v1.0.0-1'], {})).toBe('model@v1.0.0-rc.10')
  expect(chosen(['model@v1', 'other@v1.0.0', 'model2@v1.0.0', 'model'], {})).toBeUndefined()
})

test('a version and a stage are chosen by their names', () => {
  const names = ['model@v1.0.0', 'model@v2.0.0', 'model#prod#1', 'model#prod#2', 'model#dev']
  expect(chosen(names, { version: 'v1.0.0' })).toBe('model@v1.0.0')
  expect(chosen(names, { version: '1.0.0' })).toBeUndefined()
  expect(chosen(names, { stage: 'prod' })).toBe('model#prod#2')
  expect(chosen(names, { stage: 'dev' })).toBe('model#dev')
  expect(chosen(names, { stage: 'test' })).toBeUndefined()
})

test('of an artifact below a folder only the tags that name the folder count', () => {
  expect(chosen(['model@v2.0.0', 'sub=model@v1.0.0'], {}, 'sub')).toBe('sub=model@v1.0.0')
  expect(chosen(['sub=model@v1.0.0'], {})).toBeUndefined()
})

test('what was withdrawn is not chosen, until it is given again', () => {
  expect(chosen(['model@v1.0.0', 'model@v2.0.0', 'model@v2.0.0!'], {})).toBe('model@v1.0.0')
  expect(chosen(['model#prod#1', 'model#prod!#2'], { stage: 'prod' })).toBeUndefined()
  expect(chosen(['model#prod#1', 'model#prod!#2', 'model#prod#3'], { stage: 'prod' })).toBe('model#prod#3')
})
