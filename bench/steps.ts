import path from 'node:path'
import type { DataSet } from './data-set.ts'
import type { Timing } from './machine.ts'
import type { Bench, Subject } from './subject.ts'

/** One operation, as the tools do it. */
export interface Step {
  operation: string
  /** How often in a round: a short one several times, because a single start says little. Default 1. */
  times?: number
  /** Before each time, untimed. */
  before?(bench: Bench): void | Promise<void>
  /** Undefined when this tool has no such operation. */
  run(bench: Bench): Promise<Timing> | undefined
}

export interface Round {
  dataSet: DataSet
  round: number
}

const SHORT = 3

/** The arguments of each tool; a tool that is not named has no such operation. */
type Commands = Partial<Record<Subject['tool'], readonly string[]>>

export const both = (...args: string[]): Commands => ({ cairn: args, dvc: args })
const BACKUP = ['backup', '-q', 'data']

export function command(operation: string, commands: Commands, more: Omit<Step, 'operation' | 'run'> = {}): Step {
  return {
    ...more,
    operation,
    run(bench) {
      const args = commands[bench.subject.tool]
      return args && bench.run(...args)
    },
  }
}

/** What two operations took together: restic does in one what the others do in two. */
function together(operation: string, first: string, second: string): Step {
  return {
    operation,
    run({ subject, done }) {
      const [one, two] = [done.get(first), done.get(second)]
      if (!two) return undefined
      if (subject.tool === 'restic') return Promise.resolve(two)
      return one && Promise.resolve(sum(one, two))
    },
  }
}

export function sum(one: Timing, two: Timing): Timing {
  const seconds = one.seconds + two.seconds
  return {
    seconds,
    cpu: one.cpu + two.cpu,
    serverCpu: one.serverCpu + two.serverCpu,
    mib: Math.max(one.mib, two.mib),
    other: seconds > 0 ? (one.other * one.seconds + two.other * two.seconds) / seconds : 0,
  }
}

/** A working day that needs no server. */
export function localSteps({ dataSet, round }: Round): Step[] {
  return [
    command('--version', { ...both('--version'), restic: ['version'] }, { times: 5 }),
    command('add, cold', { ...both('add', 'data'), restic: BACKUP }, { before: ({ dir }) => dataSet.write(dir) }),
    command('add, nothing new', { ...both('add', 'data'), restic: BACKUP }, { times: SHORT }),
    command('status', both('status'), { times: SHORT }),
    command('checkout, nothing to do', both('checkout'), { times: SHORT }),
    command('add, 100 changed', { ...both('add', 'data'), restic: BACKUP }, { before: ({ dir }) => dataSet.change(dir, round) }),
    command('checkout, copy', both('checkout'), { before: discardTracked }),
    command('checkout, hardlink', both('checkout'), { before: linkFromNowOn }),
  ]
}

/** restic has no checkout, and needs its data for what comes after. */
function discardTracked(bench: Bench): void {
  if (bench.subject.tool !== 'restic') bench.discard('data')
}

async function linkFromNowOn(bench: Bench): Promise<void> {
  if (bench.subject.tool === 'restic') return
  await bench.run('config', 'cache.type', 'hardlink')
  discardTracked(bench)
}

/** What costs nothing new, at a size where stock's cost shows. */
export function wideSteps({ dataSet, round }: Round): Step[] {
  const local = localSteps({ dataSet, round })
  return local.filter(({ operation }) => ['add, nothing new', 'status', 'checkout, nothing to do'].includes(operation))
}

/** The same day with a server. What forgets comes last: nothing after it would be as on a working day. */
export function transferSteps(round: Round): Step[] {
  const [pushAgain, ...pushForgetful] = pushNothing()
  return [...firstPush(round), ...(pushAgain ? [pushAgain] : []), ...pushChanged(round), pull(), ...pushForgetful]
}

export function firstPush({ dataSet }: Round): Step[] {
  const add = command('add, cold', both('add', 'data'), { before: ({ dir }) => dataSet.write(dir) })
  return [
    add,
    command('push, first', { ...both('push'), restic: BACKUP }, { before: commitIfTracked }),
    together('add and push, first', 'add, cold', 'push, first'),
  ]
}

export function pushNothing(): Step[] {
  return [
    command('push, nothing new', { ...both('push'), restic: BACKUP }, { times: SHORT }),
    command('push, nothing new, fresh index', both('push'), { times: SHORT, before: (bench) => bench.forget() }),
  ]
}

/** The operations' names say `changed`, whatever changes. */
export function pushChanged({ dataSet, round }: Round): Step[] {
  const change = ({ dir }: Bench) => dataSet.change(dir, round)
  return [
    {
      operation: 'add, changed',
      before: change,
      run: (bench) => (bench.subject.tool === 'restic' ? undefined : bench.run('add', 'data')),
    },
    command('push, changed', { ...both('push'), restic: BACKUP }, { before: commitIfTracked }),
    together('add and push, changed', 'add, changed', 'push, changed'),
  ]
}

export function pull(): Step {
  return {
    operation: 'pull, fresh clone',
    run(bench) {
      const clone = bench.clone()
      if (bench.subject.tool !== 'restic') return clone.run('pull')
      return clone.run('restore', '-q', 'latest', '--target', path.join(clone.dir, 'restored'))
    },
  }
}

function commitIfTracked(bench: Bench): void {
  if (bench.subject.tool !== 'restic') bench.commit()
}

/** A large file: what moves its bytes. */
export function bigSteps(round: Round): Step[] {
  const checkout = command('checkout, copy', both('checkout'), { before: discardTracked })
  return [...firstPush(round), checkout, ...pushChanged(round), pull()]
}
