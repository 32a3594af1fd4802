import { type CountingProxy, startCountingProxy } from '../test/rig/counting-proxy.ts'
import type { Quantity } from './goals.ts'
import type { Step } from './steps.ts'
import { openBench } from './subject.ts'
import { transferSubjects } from './subjects.ts'
import type { World } from './world.ts'

const MIB = 1024 * 1024

/**
 * Once more by cairn alone, untimed, with a proxy that counts before each server and before the bucket. The client counts its
 * requests too, and the higher count is noted.
 */
export async function countRequests(world: World, set: string, steps: readonly Step[]): Promise<void> {
  const proxies: CountingProxy[] = []
  try {
    const doors = await transferSubjects(world, async (url) => {
      const proxy = await startCountingProxy(url)
      proxies.push(proxy)
      return proxy.url
    })
    for (const subject of doors.filter(({ tool }) => tool === 'cairn')) {
      const bench = await openBench(world.machine, subject, world.base, 'count')
      const verbose = { ...bench, run: (...args: string[]) => bench.run(...args, ...(MOVES.has(args[0] ?? '') ? ['-v'] : [])) }
      for (const step of steps) {
        for (const proxy of proxies) proxy.reset()
        await step.before?.(verbose)
        const ran = await step.run(verbose)
        const printed = ran && 'printed' in ran ? String(ran.printed) : ''
        const noted = (name: string, value: number, unit: Quantity['unit']) =>
          world.record.note({ set, name: `${step.operation}: ${name}`, subject: subject.name, value, unit })
        world.say(`${set}, counting: ${step.operation}, ${subject.name}`)
        const requests = Math.max(
          sumOf(proxies, (proxy) => proxy.requests.length),
          requestsIn(printed),
        )
        if (requests === 0) continue
        noted('requests', requests, 'requests')
        noted('sent', sumOf(proxies, (proxy) => proxy.sent) / MIB, 'MiB')
        noted('received', sumOf(proxies, (proxy) => proxy.received) / MIB, 'MiB')
      }
    }
  } finally {
    for (const proxy of proxies) await proxy.close()
  }
}

const MOVES: ReadonlySet<string> = new Set(['push', 'pull'])

/** The client says with -v: `3 requests, 4096 bytes`. */
export function requestsIn(printed: string): number {
  return Number(/\b(\d+) requests?, \d+ bytes/.exec(printed)?.[1] ?? 0)
}

function sumOf(proxies: readonly CountingProxy[], figure: (proxy: CountingProxy) => number): number {
  return proxies.reduce((sum, proxy) => sum + figure(proxy), 0)
}
