import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

export interface ListenOptions {
  signal: AbortSignal
  onMessage: (payload: string) => void
  /** Called each time the connection listens (anew), with the seconds since it was last known to. */
  onListening?: (silentSeconds: number) => Promise<void>
}

const HEARTBEAT_MS = 10_000
const LONGEST_PAUSE_MS = 5_000

/**
 * Listens on a channel over a connection of its own, asks it for a sign of life every ten seconds, and connects again when
 * it is lost. Resolves once the signal aborts; never rejects.
 */
export async function listen(config: pg.ClientConfig, channel: string, options: ListenOptions): Promise<void> {
  const { signal } = options
  let heard = Date.now()
  for (let failures = 0; !signal.aborted; failures++) {
    const client = new pg.Client({
      ...config,
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
      application_name: 'cairn-listen',
    })
    const lost = new AbortController()
    client.on('error', () => lost.abort())
    client.on('end', () => lost.abort())
    client.on('notification', (message) => options.onMessage(message.payload ?? ''))
    const end = AbortSignal.any([signal, lost.signal])
    try {
      await client.connect()
      await client.query(`listen ${channel}`)
      await options.onListening?.((Date.now() - heard) / 1000)
      failures = 0
      while (!end.aborted) {
        heard = Date.now()
        await pause(HEARTBEAT_MS, end)
        if (!end.aborted) await client.query('select 1')
      }
    } catch {
      // Whatever failed, the answer is the same: connect again.
    }
    // `end` waits for the peer, which may be gone for good.
    await Promise.race([client.end().catch(() => undefined), sleep(1000, undefined, { ref: false })])
    await pause(Math.min(100 * 2 ** failures, LONGEST_PAUSE_MS), signal)
  }
}

/** Sleeps, or wakes early when the signal aborts. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined)
}
