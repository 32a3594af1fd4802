import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Notice } from '../domain/stores.ts'
import type { Admission } from './admission.ts'

export interface Metrics {
  registry: Registry
  request(labels: { route: string; method: string; status: number; seconds: number; received: number; sent: number }): void
  notice(notice: Notice): void
  blobCall(call: { operation: string; outcome: string; seconds: number; bytes: number }): void
  /** Asked when the metrics are read. */
  watch(sources: { admission: Admission; damagedObjects: () => Promise<number> }): void
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const requests = new Counter({
    name: 'cairn_http_requests_total',
    help: 'Requests answered',
    labelNames: ['route', 'method', 'status'],
    registers,
  })
  const seconds = new Histogram({
    name: 'cairn_http_request_seconds',
    help: 'From the head of a request to the end of its answer',
    labelNames: ['route', 'method'],
    buckets: [0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120],
    registers,
  })
  const received = new Counter({ name: 'cairn_http_received_bytes_total', help: 'Bytes of bodies received', registers })
  const sent = new Counter({ name: 'cairn_http_sent_bytes_total', help: 'Bytes of bodies sent', registers })
  const objects = new Counter({
    name: 'cairn_objects_total',
    help: 'Objects taken in, by outcome',
    labelNames: ['outcome'],
    registers,
  })
  const objectBytes = new Counter({ name: 'cairn_object_bytes_total', help: 'Bytes of the objects that were new', registers })
  const damageFound = new Counter({ name: 'cairn_damage_found_total', help: 'Objects found damaged since the start', registers })

  const blobSeconds = new Histogram({
    name: 'cairn_blob_seconds',
    help: 'Calls to the blob store',
    labelNames: ['operation', 'outcome'],
    buckets: [0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120],
    registers,
  })

  return {
    registry,
    blobCall: ({ operation, outcome, seconds: taken }) => blobSeconds.observe({ operation, outcome }, taken),
    request(labels) {
      requests.inc({ route: labels.route, method: labels.method, status: labels.status })
      seconds.observe({ route: labels.route, method: labels.method }, labels.seconds)
      received.inc(labels.received)
      sent.inc(labels.sent)
    },
    notice(notice) {
      if (notice.type === 'damaged') damageFound.inc()
      if (notice.type !== 'stored') return
      objects.inc({ outcome: notice.outcome }, notice.objects)
      if (notice.outcome === 'stored') objectBytes.inc(notice.bytes)
    },
    watch({ admission, damagedObjects }) {
      const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
        new Gauge({
          name,
          help,
          registers,
          async collect() {
            this.set(await read())
          },
        })
      gauge('cairn_bodies_in_flight', 'Requests that hold a share of the memory for bodies', () => admission.requests)
      gauge('cairn_body_bytes_in_flight', 'Memory set aside for bodies', () => admission.bytes)
      gauge('cairn_damaged_objects', 'Objects whose stored bytes no longer hash to their digest', damagedObjects)
    },
  }
}
