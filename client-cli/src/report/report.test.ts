import { CairnError } from '@cairn/protocol/error'
import { describe, expect, test } from 'vitest'
import { createConsole } from './console.ts'
import type { Output } from './output.ts'
import { describeFailure } from './failure.ts'
import { formatJson } from './json.ts'

function screen(options: { tty?: boolean; quiet?: boolean; verbose?: boolean } = {}) {
  const texts = { out: '', err: '' }
  let time = 0
  const stream = (name: 'out' | 'err'): Output => ({
    write: (text) => (texts[name] += text),
    isTTY: options.tty ?? false,
    columns: 80,
  })
  const terminal = createConsole(stream('out'), stream('err'), {
    quiet: options.quiet ?? false,
    verbose: options.verbose ?? false,
    now: () => time,
  })
  return { ...terminal, texts, pass: (ms: number) => (time += ms) }
}

const everything = (report: ReturnType<typeof screen>['report']) => {
  for (const type of ['result', 'output', 'note', 'warning', 'debug'] as const) report({ type, text: type })
}

describe('the console', () => {
  test('prints results on stdout and the rest on stderr', () => {
    const { report, texts } = screen()
    everything(report)
    expect(texts).toEqual({ out: 'result\noutput\n', err: 'note\nWARNING: warning\n' })
  })

  test('quiet leaves what was asked for, and failures', () => {
    const { report, fail, texts } = screen({ quiet: true })
    everything(report)
    fail('ERROR: broken')
    expect(texts).toEqual({ out: 'output\n', err: 'ERROR: broken\n' })
  })

  test('verbose adds debug lines', () => {
    const { report, texts } = screen({ verbose: true })
    everything(report)
    expect(texts.err).toContain('DEBUG: debug\n')
  })

  test('a message cannot steer the terminal', () => {
    const { fail, texts } = screen({ tty: true })
    fail('ERROR: \u001b[2Jx\r')
    expect(texts.err).toBe('\u001b[31mERROR\u001b[39m: \\x1b[2Jx\\x0d\n')
  })
})

describe('progress', () => {
  const step = (done: number, task = 'Pushing') => ({ type: 'progress', task, done, total: 1000, unit: 'files' }) as const

  test('off a terminal is one line every 10 s, and none for what is done sooner', () => {
    const { report, texts, pass } = screen()
    report(step(0))
    pass(9_999)
    report(step(400))
    expect(texts.err).toBe('')
    pass(1)
    report(step(500))
    report(step(501))
    expect(texts.err).toBe('Pushing  50% 500 of 1,000, 50/s, 0:10 left\n')
    pass(10_000)
    report(step(900))
    report({ type: 'progress-end', task: 'Pushing' })
    expect(texts.err.trimEnd().split('\n')).toHaveLength(2)
  })

  test('on a terminal is redrawn at most ten times a second', () => {
    const { report, texts, pass } = screen({ tty: true })
    for (let i = 0; i < 1000; i++) {
      report(step(i))
      pass(1)
    }
    expect(texts.err.split('Pushing').length - 1).toBe(10)
  })

  test('bars make way for text and leave nothing behind', () => {
    const { report, texts, pass } = screen({ tty: true })
    report(step(1))
    pass(200)
    report(step(2, 'Hashing'))
    report({ type: 'note', text: 'hello' })
    expect(texts.err.endsWith('\r\u001b[2K\u001b[1A\u001b[2Khello\n')).toBe(true)
    report({ type: 'progress-end', task: 'Pushing' })
    report({ type: 'progress-end', task: 'Hashing' })
    expect(texts.err.endsWith('hello\n')).toBe(true)
  })

  test('quiet draws nothing', () => {
    const { report, texts, pass } = screen({ tty: true, quiet: true })
    report(step(1))
    pass(60_000)
    report(step(2))
    expect(texts.err).toBe('')
  })

  test('bytes are told in units, an unknown total without a share', () => {
    const { report, texts, pass } = screen()
    report({ type: 'progress', task: 'Fetching', done: 0, unit: 'bytes' })
    pass(10_000)
    report({ type: 'progress', task: 'Fetching', done: 15 * 1024 * 1024, unit: 'bytes' })
    expect(texts.err).toBe('Fetching 15.0 MiB, 1.5 MiB/s\n')
  })
})

describe('a failure', () => {
  test('is one line and its hint, with its own exit code', () => {
    const error = new CairnError('UNREACHABLE', 'http://h: connection refused', { hint: 'Is it up?' })
    expect(describeFailure(error, { verbose: false })).toEqual({
      text: 'ERROR: http://h: connection refused\nIs it up?',
      code: 1,
    })
  })

  test("of the configuration carries dvc's prefix, unless a command put its own in front", () => {
    expect(describeFailure(new CairnError('CONFIG', 'config file error: x'), { verbose: false })).toEqual({
      text: 'ERROR: configuration error - config file error: x',
      code: 251,
    })
    const wrapped = new CairnError('CONFIG', 'failed to push data to the cloud - config file error: x', { exit: 1 })
    expect(describeFailure(wrapped, { verbose: false })).toEqual({
      text: 'ERROR: failed to push data to the cloud - config file error: x',
      code: 1,
    })
  })

  test('of the machine is no bug, of ours is', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    expect(describeFailure(full, { verbose: false })).toEqual({
      text: 'ERROR: no space is left on the device\nFree some space and run the command again.',
      code: 255,
    })
    expect(describeFailure(new TypeError('x is undefined'), { verbose: false })).toMatchObject({
      text: expect.stringMatching(/^ERROR: unexpected error - x is undefined\n[^]*bug/) as string,
      code: 255,
    })
  })

  test('after an interruption is the interruption', () => {
    const interrupted = new CairnError('CANCELLED', 'interrupted by the user', { exit: 252 })
    expect(describeFailure(new Error('socket hang up'), { verbose: false, interrupted })).toEqual({
      text: 'ERROR: interrupted by the user',
      code: 252,
    })
  })

  test('shows where it comes from only with -v', () => {
    const error = new CairnError('FAILED', 'x', { cause: new Error('deep') })
    expect(describeFailure(error, { verbose: false }).text).not.toMatch(/deep|at /)
    expect(describeFailure(error, { verbose: true }).text).toMatch(/report\.test[^]*deep/)
  })
})

test("JSON has dvc's blanks and escapes, and can be indented", () => {
  const value = { a: [1, 'é', null, undefined], b: {}, c: undefined, '😀': true }
  expect(formatJson(value)).toBe('{"a": [1, "\\u00e9", null, null], "b": {}, "\\ud83d\\ude00": true}')
  expect(formatJson({ a: [1], b: {} }, { indent: 2 })).toBe('{\n  "a": [\n    1\n  ],\n  "b": {}\n}')
  expect(JSON.parse(formatJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
})
