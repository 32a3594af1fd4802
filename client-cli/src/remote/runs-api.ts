import type { RemoteInfo, RunList, RunsAnswer, RunsFetchAnswer } from '@cairn/protocol/api'
import { isRunName, MAX_RUN_BYTES, MAX_RUN_ENTRIES, RUN_BODY_BYTES, type RunName, runPath } from '@cairn/protocol/run-name'
import type { HttpClient } from './http-client.ts'
import type { RemoteRuns } from './remote.ts'

/** The run cache of a project on a Cairn server; undefined for one that keeps none. */
export function createRunsApi(http: HttpClient, { base, capabilities }: RemoteInfo): RemoteRuns | undefined {
  if (!capabilities.includes('runs')) return undefined
  const post = <T>(path: string, body: unknown, signal: AbortSignal): Promise<T> => {
    const bytes = Buffer.from(JSON.stringify(body))
    const headers = { 'content-type': 'application/json' }
    return http.json<T>({ method: 'POST', path: `${base}/${path}`, headers, body: () => bytes, signal })
  }
  return {
    async list({ signal }) {
      const names = new Set<RunName>()
      let after: RunName | null = null
      do {
        const path: string = `${base}/runs${after === null ? '' : `?after=${encodeURIComponent(after)}`}`
        const page: RunList = await http.json<RunList>({ method: 'GET', path, signal })
        for (const name of page.runs) if (isRunName(name)) names.add(name)
        after = page.next !== null && isRunName(page.next) ? page.next : null
      } while (after !== null)
      return names
    },
    async send(names, read, { signal, report }) {
      let batch: Array<{ name: RunName; entry: string }> = []
      let bytes = 0
      const flush = async () => {
        if (batch.length > 0) await post<RunsAnswer>('runs', { runs: batch }, signal)
        batch = []
        bytes = 0
      }
      for (const name of names) {
        const entry = read(name)
        if (entry === undefined) continue
        if (entry.length > MAX_RUN_BYTES || entry.length === 0) {
          report({ type: 'warning', text: `'${runPath(name)}' is no entry of a run cache and stays here` })
          continue
        }
        if (batch.length === MAX_RUN_ENTRIES || bytes + entry.length > RUN_BODY_BYTES) await flush()
        batch.push({ name, entry: Buffer.from(entry).toString('utf8') })
        bytes += entry.length
      }
      await flush()
    },
    async bring(names, take, { signal }) {
      const wanted = new Set(names)
      while (wanted.size > 0) {
        const asked = [...wanted].slice(0, MAX_RUN_ENTRIES)
        const { runs } = await post<RunsFetchAnswer>('runs/fetch', { runs: asked }, signal)
        const before = wanted.size
        for (const { name, entry } of runs) if (wanted.delete(name)) take(name, Buffer.from(entry))
        // None of them: all are gone.
        if (wanted.size === before) for (const name of asked) wanted.delete(name)
      }
    },
  }
}
