import type { Remote } from '../../client-cli/src/remote/remote.ts'
import { openCairn } from './cairn-remote.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import type { TestServer } from './server.ts'
import { createStockedCache, type StockedCache } from './stocked-cache.ts'

/** The project `demo` behind a line that can fail, with a cache to push from and an empty one to fetch into. */
export interface FaultyLine {
  proxy: FaultProxy
  mine: StockedCache
  theirs: StockedCache
  remote: Remote
  close(): Promise<void>
}

export async function openFaultyLine(server: TestServer): Promise<FaultyLine> {
  const proxy = await startFaultProxy(server.url)
  const mine = createStockedCache()
  const theirs = createStockedCache()
  const remote = await openCairn({ url: `${proxy.url}/dvc/demo`, token: server.adminToken, cache: mine.cache })
  return {
    proxy,
    mine,
    theirs,
    remote,
    async close() {
      await remote.close()
      await proxy.stop()
      mine.remove()
      theirs.remove()
    },
  }
}
