import type { Capability } from '@cairn/protocol/limits'
import type { Limits } from '../config.ts'
import type { DirectOffer } from '../domain/direct.ts'
import type { JobQueue } from '../domain/ports/job-queue.ts'
import type { Principals, TokenCodec } from '../domain/principal.ts'
import type { StockLeases } from '../domain/stock-leases.ts'
import type { Stores } from '../domain/stores.ts'
import type { Uploads } from '../domain/uploads.ts'
import type { Log } from '../log.ts'
import type { Admission } from './admission.ts'
import type { Metrics } from './metrics.ts'
import type { ObjectMemory } from './object-memory.ts'

/** What the routes stand on. `wire.ts` builds it once. */
export interface HttpContext {
  stores: Stores
  uploads: Uploads
  jobs: JobQueue
  principals: Principals
  codec: TokenCodec
  limits: Limits
  admission: Admission
  /** Keeps the large objects that are put together or cut into chunks at once within bounds; who comes later waits in line. */
  assembly: Admission
  memory: ObjectMemory
  stockLeases: StockLeases
  metrics: Metrics
  log: Log
  version: string
  /** What this server offers to native clients. */
  capabilities: readonly Capability[]
  /** What was proved of the bucket, if by now anything was. */
  direct: () => DirectOffer | undefined
  /** Whether large downloads of stock clients may be sent to the bucket. */
  redirectsStock: boolean
  /** True from the first signal to stop on. */
  stopping: () => boolean
}
