import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Event } from '../report/event.ts'
import { createVoices, type Voice } from './stage-voices.ts'

let dir: string
let heard: string
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-voices-'))
  heard = ''
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function hear(event: Event): void {
  if ('text' in event) heard += event.type === 'command-output' ? event.text : `${event.text}\n`
}
const voices = () => createVoices(hear, (number) => path.join(dir, String(number)))
const say = (voice: Voice, text: string) => voice.report({ type: 'result', text })
const print = (voice: Voice, text: string) => voice.report({ type: 'command-output', stream: 'stdout', text })

describe('the voices of stages', () => {
  test('let the one in front be heard at once and the others when it is their turn', () => {
    const all = voices()
    const [one, two, three] = [all.open(), all.open(), all.open()]
    say(two, 'two begins')
    say(one, 'one begins')
    expect(heard).toBe('one begins\n')
    say(three, 'three is fresh')
    three.close('fresh')
    one.close('changed')
    expect(heard).toBe('one begins\n\ntwo begins\n')
    say(two, 'two ends')
    two.close('changed')
    expect(heard).toBe('one begins\n\ntwo begins\ntwo ends\n\nthree is fresh\n')
  })

  test('put an empty line after a stage that changed only when more is said', () => {
    const all = voices()
    for (const [text, outcome] of [
      ['a', 'fresh'],
      ['b', 'changed'],
      ['c', 'failed'],
      ['d', 'fresh'],
      ['e', 'changed'],
    ] as const) {
      const voice = all.open()
      say(voice, text)
      voice.close(outcome)
    }
    expect(heard).toBe('a\nb\n\nc\n\nd\ne\n')
  })

  test("end a command's last line before anything else is said", () => {
    const all = voices()
    const [one, two] = [all.open(), all.open()]
    print(one, 'no line end')
    print(two, 'neither')
    say(two, 'two is done')
    one.close('fresh')
    two.close('fresh')
    expect(heard).toBe('no line end\nneither\ntwo is done\n')
  })

  test('hold back more than fits into their memory, in a file that goes away', () => {
    const all = voices()
    const [one, two] = [all.open(), all.open()]
    const lines = Array.from({ length: 300 }, (_, number) => `${number} ${'ü'.repeat(10_000)}\n`)
    for (const line of lines) print(two, line)
    expect(readdirSync(dir)).toEqual(['2'])
    one.close('fresh')
    print(two, 'live\n')
    two.close('fresh')
    expect(heard).toBe(`${lines.join('')}live\n`)
    expect(existsSync(path.join(dir, '2'))).toBe(false)
  })

  test('let out everything when they are closed', () => {
    const all = voices()
    const [one, two] = [all.open(), all.open()]
    say(two, 'two')
    say(one, 'one')
    all.closeAll()
    expect(heard).toBe('one\ntwo\n')
  })
})
