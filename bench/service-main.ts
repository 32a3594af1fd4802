import { startPlainHttpRemote } from '../test/rig/plain-http-remote.ts'
import { startDelayProxy } from './delay-proxy.ts'
import { startRawServer } from './raw-server.ts'
import type { ServiceOptions } from './service.ts'

/** The process behind `startService`: tells its parent where it listens, and ends with it. */
async function start(options: ServiceOptions): Promise<string> {
  switch (options.kind) {
    case 'plain-http':
      return (await startPlainHttpRemote({ dir: options.dir })).url
    case 'delay':
      return (await startDelayProxy(options.target, options)).url
    case 'raw':
      return (await startRawServer(options.dir)).url
  }
}

process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
process.send?.(await start(JSON.parse(process.argv[2] ?? '{}') as ServiceOptions))
