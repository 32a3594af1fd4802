import { describe, expect, test } from 'vitest'
import { GOALS, type Goal, judge } from './goals.ts'
import { median, pairedRatio, perRound, type Sample } from './ratio.ts'
import { requestsIn } from './requests.ts'
import { summaryTable, timesTable } from './report.ts'

function sample(subject: string, round: number, seconds: number, more: Partial<Sample> = {}): Sample {
  return { set: 'local', operation: 'status', subject, round, seconds, cpu: seconds, serverCpu: 0, mib: 50, other: 0, ...more }
}

describe('ratios', () => {
  test('a median is the middle one, or between the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([])).toBeNaN()
  })

  test('a short operation counts once a round, however often it was run', () => {
    const samples = [sample('cairn', 0, 1), sample('cairn', 0, 9), sample('cairn', 0, 2), sample('cairn', 1, 5)]
    expect([...perRound(samples)]).toEqual([
      [0, 2],
      [1, 5],
    ])
  })

  test('only runs of the same round are compared, so that a slow hour of the machine cancels out', () => {
    const ours = [sample('cairn', 0, 1), sample('cairn', 1, 10), sample('cairn', 3, 1)]
    const theirs = [sample('dvc', 0, 4), sample('dvc', 1, 40), sample('dvc', 2, 900)]
    expect(pairedRatio(theirs, ours)).toBe(4)
    expect(pairedRatio(theirs, [])).toBeNaN()
  })
})

describe('goals', () => {
  const status: Goal = {
    kind: 'faster',
    row: 'status',
    set: 'local',
    operation: 'status',
    ours: ['cairn'],
    theirs: ['dvc'],
    least: 5,
    aim: 10,
  }

  test('a goal that is met may miss its aim', () => {
    const facts = { samples: [sample('cairn', 0, 0.1), sample('dvc', 0, 0.7)], quantities: [] }
    expect(judge([status], facts)).toMatchObject([{ measured: '7.0×', met: true, aimMet: false }])
  })

  test('what was not measured is neither met nor missed', () => {
    const [verdict] = judge([status], { samples: [sample('cairn', 0, 0.1)], quantities: [] })
    expect(verdict).toMatchObject({ measured: 'not measured', met: undefined, aimMet: undefined })
    expect(summaryTable([verdict!])).toContain('| not measured |  | – |')
  })

  test('to be within a floor may allow for something on top', () => {
    const within: Goal = {
      kind: 'within',
      row: 'start',
      set: 'local',
      operation: 'status',
      ours: ['cairn'],
      theirs: 'floor',
      times: 1,
      plus: 0.01,
      weight: 'goal',
    }
    const facts = (seconds: number) => ({ samples: [sample('cairn', 0, seconds), sample('floor', 0, 0.025)], quantities: [] })
    expect(judge([within], facts(0.034))).toMatchObject([{ met: true }])
    expect(judge([within], facts(0.036))).toMatchObject([{ met: false }])
  })

  test('a limit holds for every subject that has the figure', () => {
    const most: Goal = { kind: 'most', row: 'requests', set: 'transfer', name: 'push: requests', most: 3 }
    const quantity = (subject: string, value: number) =>
      ({ set: 'transfer', name: 'push: requests', subject, value, unit: 'requests' }) as const
    const facts = { samples: [], quantities: [quantity('cairn → disk', 3), quantity('cairn → S3', 4)] }
    expect(judge([most], facts).map(({ met }) => met)).toEqual([true, false])
  })

  test('every goal speaks of an operation or a figure that only its own set has', () => {
    const names = GOALS.map((goal) => `${goal.set}/${goal.kind === 'most' ? goal.name : goal.operation}`)
    expect(
      names.every((name) => /^(local|transfer|wide local|wide transfer|big|latency|scale|pipeline of \d+|project)\/./.test(name)),
    ).toBe(true)
  })
})

test('the table compares with cairn alone, and says which runs others disturbed', () => {
  const table = timesTable([sample('floor', 0, 0.05), sample('cairn', 0, 0.1), sample('dvc', 0, 0.5, { other: 1.2 })])
  const [, , cairn, dvc, floor] = table.split('\n')
  expect(cairn).toMatch(/cairn \| 0\.100 .* {2}\| {2}\| {2}\|$/)
  expect(dvc).toMatch(/dvc \| 0\.500 .* 5\.0× \| 5\.0× \| 1 of 1 \|$/)
  expect(floor).toContain('| 0.5× |')
})

test("the client's count of its requests is found in what it prints", () => {
  expect(requestsIn('DEBUG: 3 requests, 4096 bytes\n10 files pushed\n')).toBe(3)
  expect(requestsIn('Everything is up to date.')).toBe(0)
})
