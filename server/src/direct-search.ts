import { createHash, createHmac } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Capability } from '@cairn/protocol/limits'
import type { Config } from './config.ts'
import type { Challenge, DirectOffer } from './domain/direct.ts'
import type { Stores } from './domain/stores.ts'
import type { Log } from './log.ts'

/** A start waits so long for what the bucket can do; a slow one is found out about later. */
const FIRST_LOOK_MS = 3000
const FIRST_PAUSE_MS = 15_000
const LONGEST_PAUSE_MS = 300_000

export interface DirectParts {
  config: Config
  stores: Stores
  log: Log
}

export interface DirectFinding {
  offer: DirectOffer | undefined
  /** For the log and for `doctor`. */
  words: string
}

export interface DirectSearch {
  offer: () => DirectOffer | undefined
  /** Never rejects. */
  firstLook: Promise<void>
}

export function directCapabilities(offer: DirectOffer | undefined): Capability[] {
  return [...(offer?.get ? (['direct-get'] as const) : []), ...(offer?.put ? (['direct-put'] as const) : [])]
}

/** Asks the bucket what clients may do there directly, now and, while it does not answer, again later. Ends with the signal. */
export function searchDirect(parts: DirectParts, signal: AbortSignal): DirectSearch {
  let offer: DirectOffer | undefined
  const looked = Promise.withResolvers<void>()
  const search = async (): Promise<void> => {
    for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        const finding = await findDirect(parts, signal)
        offer = finding.offer
        if (parts.config.s3) parts.log.info({ direct: finding.words }, 'asked the bucket what clients may do there')
        return
      } catch (error) {
        if (signal.aborted) return
        parts.log.warn({ err: error }, 'the bucket does not say what clients may do there; everything goes through the server')
        looked.resolve()
        await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined)
      }
    }
  }
  const patience = sleep(FIRST_LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined)
  return { offer: () => offer, firstLook: Promise.race([search(), looked.promise, patience]) }
}

/** One look. @throws CairnError STORAGE_FAILED when the bucket does not answer */
export async function findDirect({ config, stores }: DirectParts, signal: AbortSignal): Promise<DirectFinding> {
  const { s3, direct } = config
  const { blobs } = stores
  if (!s3 || !blobs.direct) return { offer: undefined, words: 'no: the blobs are no bucket' }
  if (!direct.clients) return { offer: undefined, words: 'no: switched off, or S3_PUBLIC_ENDPOINT is not set' }
  const { probeDirect } = await import('./adapters/blob-store/s3-probe.ts')
  const proof = await probeDirect(s3, blobs, signal)
  const challenge = await storeChallenge(stores, config, signal)
  const offer = { put: proof.put === undefined, get: proof.get === undefined, challenge }
  const words = `get ${proof.get === undefined ? 'yes' : `no (${proof.get})`}, put ${proof.put === undefined ? 'yes' : `no (${proof.put})`}`
  return { offer, words: `${words}, at ${s3.publicEndpoint}` }
}

/** The same bytes under the same key for all replicas of a deployment, so storing it again changes nothing. */
async function storeChallenge(stores: Stores, config: Config, signal: AbortSignal): Promise<Challenge> {
  const secret = config.signingKey ?? (await stores.catalog.signingKey())
  const bytes = createHmac('sha256', secret).update('the bucket of this server').digest()
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const key = `probe/challenge-${sha256.slice(0, 32)}`
  if ((await stores.blobs.stat(key)) === undefined)
    await stores.blobs.put(key, Readable.from([bytes]), { signal, size: bytes.length })
  return { key, sha256 }
}
