import { Readable } from 'node:stream'
import { findDirect } from '../direct-search.ts'
import type { Parts } from '../wire.ts'

const CHECK_MILLISECONDS = 10_000
const PROBE = 'doctor'

/** `cairn-server doctor`: tries every part for real. Returns what to print, and whether all is well. */
export async function doctor(parts: Parts): Promise<{ text: string; well: boolean }> {
  const signal = AbortSignal.timeout(CHECK_MILLISECONDS)
  const findings = [
    await tryPart('database', parts.kinds.database, () => parts.stores.catalog.check(signal)),
    await tryPart('blobs', parts.kinds.blobs, () => roundTrip(parts, signal)),
    await tryPart('jobs', parts.kinds.jobs, async () => void (await parts.jobs.list(1))),
    await tryPart('projects', 'damage found', () => refuseDamage(parts)),
  ]
  if (parts.config.s3) findings.push(await lookAtDirect(parts, signal))
  return { text: findings.map((finding) => finding.line).join('\n'), well: findings.every((finding) => finding.well) }
}

async function tryPart(name: string, kind: string, attempt: () => Promise<void>): Promise<{ line: string; well: boolean }> {
  try {
    await attempt()
    return { line: `ok      ${name}: ${kind}`, well: true }
  } catch (error) {
    return { line: `FAILED  ${name}: ${kind}: ${error instanceof Error ? error.message : String(error)}`, well: false }
  }
}

async function roundTrip({ stores }: Parts, signal: AbortSignal): Promise<void> {
  const key = `${PROBE}/${crypto.randomUUID()}`
  const sent = Buffer.from('cairn')
  await stores.blobs.put(key, Readable.from([sent]), { signal, size: sent.length })
  try {
    const received: Uint8Array[] = []
    for await (const chunk of await stores.blobs.get(key, { signal })) received.push(chunk as Uint8Array)
    if (!Buffer.concat(received).equals(sent)) throw new Error('what was read is not what was written')
  } finally {
    await stores.blobs.delete([key])
  }
}

/** Never a failure: without it everything goes through the server. */
async function lookAtDirect(parts: Parts, signal: AbortSignal): Promise<{ line: string; well: boolean }> {
  const { words } = await findDirect(parts, signal).catch((error: unknown) => ({
    words: `not known: ${error instanceof Error ? error.message : String(error)}`,
  }))
  return { line: `        clients straight to the bucket: ${words}`, well: true }
}

async function refuseDamage({ stores }: Parts): Promise<void> {
  for (const project of await stores.catalog.listProjects()) {
    const { damaged } = await stores.catalog.usage(project.id)
    if (damaged > 0)
      throw new Error(`${damaged} damaged objects in project '${project.slug}': push them again from a cache that holds them`)
  }
}
