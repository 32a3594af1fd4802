import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { openLate } from './late-output.ts'

function opened() {
  const stream = new PassThrough()
  let times = 0
  const output = openLate(() => {
    times++
    return stream as unknown as NodeJS.WriteStream
  })
  return { output, stream, times: () => times }
}

test('A command that prints nothing opens nothing', async () => {
  const { output, times } = opened()
  await output.flush()
  expect(times()).toBe(0)
})

test('What is printed arrives in order on the one stream, and flush waits until it has left', async () => {
  const { output, stream, times } = opened()
  output.write('one\n')
  output.write('two\n')
  await output.flush()
  expect(stream.read()?.toString()).toBe('one\ntwo\n')
  expect(times()).toBe(1)
})

test('Whether it is a terminal is what the stream says', () => {
  const { output, stream } = opened()
  Object.assign(stream, { isTTY: true, columns: 132 })
  expect([output.isTTY, output.columns]).toEqual([true, 132])
})
