import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Request } from 'express'
import multer from 'multer'
import { formAnswer, type ObjectAnswer } from '@cairn/protocol/api'
import { type Digest, isDigest, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { storeObject } from '../../domain/objects.ts'
import type { Bytes } from '../../domain/ports/blob-store.ts'
import { storeTree } from '../../domain/trees.ts'
import { answerJson } from '../answer.ts'
import { type Call, type Route, route } from '../handler.ts'
import { STREAM_BYTES, takeBody } from '../take-body.ts'

const MAX_PARTS = 1000
const MAX_TREE_BYTES = 16 * 1024 * 1024

export const formUploadRoutes: Route[] = [
  route({
    method: 'post',
    path: '/api/v1/projects/:project/objects',
    summary: 'Send objects as the files of a form',
    access: { kind: 'project', scope: 'write' },
    rawBody: {
      type: 'multipart/form-data',
      description: "One part an object. The field's name or the file's name may be its digest; else the server computes it",
    },
    answers: { 201: { schema: formAnswer, description: 'In the order of the parts' } },
    errors: [
      'BAD_REQUEST',
      'DIGEST_MISMATCH',
      'DIGEST_CONFLICT',
      'BAD_TREE',
      'TREE_INCOMPLETE',
      'BODY_TOO_LARGE',
      'BODY_TOO_SHORT',
      'BODY_STALLED',
      'STORAGE_FULL',
      'OVERLOADED',
    ],
    async handle(call) {
      const { context, req, res, signal } = call
      if (!/^multipart\/form-data\b/i.test(req.headers['content-type'] ?? '')) {
        throw new CairnError('BAD_REQUEST', 'the body is no multipart/form-data', { hint: 'Send it with `curl -F file=@NAME`.' })
      }
      const limit = context.limits.objectBytes
      const objects = await takeBody(context, req, { limit, memory: STREAM_BYTES * 2, wait: false, signal }, (bytes) =>
        receiveForm(call, bytes),
      )
      answerJson(req, res, 201, { objects })
    },
  }),
]

type FormCall = Call<undefined, undefined>

/** What multer hands to an engine, with the stream that its types leave to the engines. */
type Part = Express.Multer.File & { stream: Readable }

/** Reads the form part by part; each file streams into the same door as any other object. Stops at the first that is refused. */
function receiveForm(call: FormCall, body: Bytes): Promise<ObjectAnswer[]> {
  const answers: Array<Promise<ObjectAnswer>> = []
  return new Promise((resolve, reject) => {
    const engine: multer.StorageEngine = {
      _handleFile(_req, file, done) {
        const answer = storePart(call, file as Part)
        answers.push(answer)
        answer.then(
          () => done(null, {}),
          (error: unknown) => {
            reject(error)
            done(error)
          },
        )
      },
      // What a form has brought in stays: an object that nothing names yet harms nobody.
      _removeFile: (_req, _file, done) => done(null),
    }
    const upload = multer({
      storage: engine,
      limits: { files: MAX_PARTS, fields: MAX_PARTS, fieldSize: 1024, headerPairs: 100 },
      // Feeds the form through our own reader, which knows limits and stalls.
      streamHandler: (_req: Request, form: Writable) => {
        pipeline(Readable.from(body, { objectMode: false }), form).catch(reject)
      },
    } as multer.Options)
    upload.any()(call.req, call.res, (error: unknown) => {
      if (error) reject(asRefusal(error))
      else Promise.all(answers).then(resolve, reject)
    })
  })
}

async function storePart(call: FormCall, { fieldname, originalname, stream }: Part): Promise<ObjectAnswer> {
  const { context, project, signal } = call
  const digest = [fieldname, originalname].find((name): name is Digest => isDigest(name))
  const limit = context.limits.objectBytes
  if (!digest || !isTree(digest))
    return storeObject(context.stores, project, { digest, bytes: stream, size: undefined, limit, signal })
  const bytes = await collect(stream)
  const { outcome } = await storeTree(context.stores, project, { digest, read: () => Promise.resolve(bytes), signal })
  return { digest, size: bytes.length, outcome }
}

async function collect(source: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    if ((size += chunk.length) > MAX_TREE_BYTES)
      throw new CairnError('BODY_TOO_LARGE', `a tree in a form has at most ${MAX_TREE_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

function asRefusal(error: unknown): unknown {
  if (error instanceof CairnError || !(error instanceof Error)) return error
  return new CairnError('BAD_REQUEST', `the form is malformed: ${error.message}`, { cause: error })
}
