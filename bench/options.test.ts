import { expect, test } from 'vitest'
import { HELP, readOptions } from './options.ts'

const read = (...args: string[]) => readOptions(args, { PATH: '' })

test('a mode that is named runs alone, and the scale mode only when it is named', () => {
  expect([...read()!.modes]).toEqual(['small', 'big', 'latency', 'pipelines'])
  expect([...read('--only', 'big')!.modes]).toEqual(['big'])
  expect([...read('--latency', '30')!.modes]).toEqual(['latency'])
  expect([...read('--only', 'pipelines')!.modes]).toEqual(['pipelines'])
  expect([...read('--scale', '--parts', 'tree')!.modes]).toEqual(['scale'])
})

test('what it does not understand is refused in words', () => {
  expect(() => read('--only', 'huge')).toThrow("--only huge: 'huge' is none of small, big, pipelines")
  expect(() => read('--rounds', '0')).toThrow('--rounds 0: not a whole number of 1 or more')
  expect(() => read('--files', '100,many')).toThrow('--files many')
  expect(() => read('--fast')).toThrow('--fast')
})

test('help is help, and names every option', () => {
  expect(read('--help')).toBeUndefined()
  for (const name of ['only', 'steps', 'rounds', 'files', 'mib', 'latency', 'scale', 'parts', 'subjects', 'json', 'from'])
    expect(HELP).toContain(`--${name}`)
})
