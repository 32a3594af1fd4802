import { describe, expect, test } from 'vitest'
import { HAS_PROC, parseBusySeconds, parsePeakMib, parseProcessStat, peakMib, treeSeconds } from './proc.ts'

describe('/proc', () => {
  test("a process' times are found behind a name with blanks and brackets", () => {
    const text = '42 (a (b) c) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 30 20 20 0 1 0 100 1000 10'
    expect(parseProcessStat(text)).toEqual({ parent: 7, own: 2, children: 0.5 })
  })

  test('waiting for a disk does not keep the machine busy', () => {
    expect(parseBusySeconds('cpu  100 10 50 9999 8888 5 5 30 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n')).toBe(2)
    expect(() => parseBusySeconds('intr 1 2 3')).toThrow('/proc/stat')
  })

  test('the peak of a process is told in MiB, and is nothing once it has ended', () => {
    expect(parsePeakMib('VmPeak:\t  1 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n')).toBe(2)
    expect(parsePeakMib('State:\tZ (zombie)\n')).toBe(0)
  })

  test.runIf(HAS_PROC)('this process has used memory and time, and one that is not there has not', () => {
    expect(peakMib(process.pid)).toBeGreaterThan(10)
    expect(treeSeconds([process.pid])).toBeGreaterThan(0)
    expect(treeSeconds([2 ** 30])).toBe(0)
  })
})
