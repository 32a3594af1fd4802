import { DIGESTS_TYPE, MAX_DIGESTS, SESSION_HEADER } from '@cairn/protocol/limits'
import { type Digest, PACKED_DIGEST_BYTES, packDigests } from '@cairn/protocol/digest'
import { figures } from './play.ts'
import { forgetPeak, peakMib } from './proc.ts'
import { type LargeCatalog, largeCatalogMd5 } from './scale-catalog.ts'
import type { World } from './world.ts'

/** One in ten of those that are asked for is not there. */
const UNKNOWN = 10

/** Asks for a million digests as a push does, in as few questions as the protocol allows. */
export async function askForMany(world: World, { server, slug }: LargeCatalog): Promise<void> {
  const { options, machine, record, say } = world
  const questions = makeQuestions(options.entries, options.rows)
  for (let round = 0; round < options.rounds; round++) {
    forgetPeak(server.pid)
    await machine.settle()
    let missing = 0
    const timing = await machine.time(async () => {
      missing = await ask(server, slug, questions)
    })
    const expected = Math.ceil(options.entries / UNKNOWN)
    if (missing !== expected) throw new Error(`${missing} of ${options.entries} objects are missing, not ${expected}`)
    record.keep({
      set: 'scale',
      operation: 'asking',
      subject: 'cairn → disk',
      round,
      ...figures(timing),
      mib: peakMib(server.pid),
    })
    say(`scale, round ${round + 1}: asking: ${timing.seconds.toFixed(3)} s`)
  }
  const own = record.samples.filter(({ operation }) => operation === 'asking')
  const most = (of: 'seconds' | 'mib') => Math.max(...own.map((sample) => sample[of]))
  record.note({ set: 'scale', name: 'asking: time', subject: 'cairn → disk', value: most('seconds'), unit: 's' })
  record.note({ set: 'scale', name: 'asking: peak of the server', subject: 'cairn → disk', value: most('mib'), unit: 'MiB' })
}

/** Packed lists; those that are there lie all over the table. */
function makeQuestions(count: number, rows: number): Uint8Array[] {
  const stride = Math.max(1, Math.floor(rows / count))
  const digests = Array.from({ length: count }, (_, at) => {
    const nth = at % UNKNOWN === 0 ? rows + 1 + at : 1 + ((at * stride) % rows)
    return largeCatalogMd5(nth) as Digest
  })
  const questions: Uint8Array[] = []
  for (let at = 0; at < count; at += MAX_DIGESTS) questions.push(packDigests(digests.slice(at, at + MAX_DIGESTS)))
  return questions
}

async function ask(server: LargeCatalog['server'], slug: string, questions: readonly Uint8Array[]): Promise<number> {
  let missing = 0
  let session: string | undefined
  for (const body of questions) {
    const query = session === undefined ? '' : `?session=${session}`
    const answer = await fetch(`${server.url}/api/v1/projects/${slug}/objects/missing${query}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': DIGESTS_TYPE, accept: DIGESTS_TYPE },
      body: Buffer.from(body),
    })
    if (!answer.ok) throw new Error(`objects/missing answered ${answer.status}: ${await answer.text()}`)
    session ??= answer.headers.get(SESSION_HEADER) ?? undefined
    missing += (await answer.arrayBuffer()).byteLength / PACKED_DIGEST_BYTES
  }
  return missing
}
