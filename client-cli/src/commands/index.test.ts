import { expect, test } from 'vitest'
import { parseCommandLine } from '../command-line.ts'
import { COMMANDS } from './index.ts'

test('no name is given twice', () => {
  const names = COMMANDS.map((entry) => entry.name)
  expect(names).toEqual([...new Set(names)])
})

test.each(COMMANDS.map((entry) => [entry.name, entry] as const))(
  '%s loads under its name, with an example and help',
  async (name, entry) => {
    const command = await entry.load()
    expect(command.name).toBe(name)
    expect(command.examples.length).toBeGreaterThan(0)
    const help = await parseCommandLine([...name.split(' '), '--help'], COMMANDS)
    expect(help).toMatchObject({ type: 'help', code: 0, text: expect.stringContaining(`Usage: cairn ${name}`) as string })
  },
)
