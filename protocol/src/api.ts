import { z } from 'zod'
import { isDigest, type Digest } from './digest.ts'
import { ERRORS, type ErrorCode } from './error.ts'
import { MAX_DIGESTS, MAX_DIRECT } from './limits.ts'
import { isRunName, MAX_RUN_BYTES, MAX_RUN_ENTRIES, MAX_RUN_NAMES, type RunName } from './run-name.ts'
import { SCOPES } from './scope.ts'

/**
 * The shapes of the native protocol, version 1. The server validates with these schemas and generates its OpenAPI document
 * from them; the CLI imports the types only. Sizes are bytes, times are ISO 8601 in UTC.
 */
export { API_VERSION, DIGESTS_TYPE, MAX_DIGESTS, MAX_TREE_BYTES, PACK_TYPE } from './limits.ts'

export const digestSchema = z.string().refine(isDigest, 'not a digest') as unknown as z.ZodType<Digest>
export const slugSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'a project name has 1 to 63 characters of a-z, 0-9, ".", "_" and "-", and starts with a letter or digit',
  )
export const scopeSchema = z.enum(SCOPES)
const time = z.string()

/** `GET /dvc/:project/.well-known/cairn`: tells a client that a remote URL is a Cairn server, and where its API is. */
export const remoteInfo = z.object({
  server: z.literal('cairn'),
  version: z.string(),
  api: z.number().int(),
  project: slugSchema,
  /** The base of the project's API, as a path on the same origin: `/api/v1/projects/demo`. */
  base: z.string(),
  limits: z.object({
    packBytes: z.number().int(),
    packMembers: z.number().int(),
    memberBytes: z.number().int(),
    treeBytes: z.number().int(),
    digests: z.number().int(),
    /** How many bodies one client should have in flight. */
    parallel: z.number().int(),
  }),
  /** Names from CAPABILITIES in limits.ts, and others that a client ignores. */
  capabilities: z.array(z.string()),
})
export type RemoteInfo = z.infer<typeof remoteInfo>

/** `POST objects/missing?intent=push|pull&session=ID`; body packed (DIGESTS_TYPE) or this JSON. */
export const missingRequest = z.object({ digests: z.array(digestSchema).max(MAX_DIGESTS) })
export const missingAnswer = z.object({ session: z.uuid(), expiresAt: time, missing: z.array(digestSchema) })
export type MissingAnswer = z.infer<typeof missingAnswer>

/** `POST trees?digest=D&session=ID`; body: the tree's exact bytes, or gzip of them with `Content-Encoding: gzip`. */
export const treeAnswer = z.object({
  session: z.uuid(),
  expiresAt: time,
  /** True when the closure was complete and the tree is present; else it waits in the session for `commit`. */
  linked: z.boolean(),
  missing: z.array(digestSchema),
})
export type TreeAnswer = z.infer<typeof treeAnswer>

/** `POST packs?session=ID`; body PACK_TYPE. A refused member does not keep the others out. */
export const packAnswer = z.object({
  stored: z.number().int(),
  exists: z.number().int(),
  refused: z.array(
    z.object({ digest: digestSchema, code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]), message: z.string() }),
  ),
})
export type PackAnswer = z.infer<typeof packAnswer>

/** `PUT objects/:digest?session=ID` and one part of `POST objects`. */
export const objectAnswer = z.object({ digest: digestSchema, size: z.number().int(), outcome: z.enum(['stored', 'exists']) })
export type ObjectAnswer = z.infer<typeof objectAnswer>
export const formAnswer = z.object({ objects: z.array(objectAnswer) })

/**
 * Straight to and from the bucket. `check` is a small object there: a client that finds other bytes behind its URL, or none,
 * does not reach that bucket and goes through the server.
 */
export const directCheck = z.object({ url: z.url(), sha256: z.string() })
/** `POST objects/direct/put?session=ID`; sha256 in hex. */
export const directPutRequest = z.object({
  objects: z
    .array(
      z.object({
        digest: digestSchema,
        size: z.number().int().nonnegative(),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, 'not a sha256 in hex'),
      }),
    )
    .min(1)
    .max(MAX_DIRECT),
})
export const directPutAnswer = z.object({
  expiresAt: time,
  check: directCheck,
  /** Without those that are present by now. `headers` have to be sent just so. */
  uploads: z.array(z.object({ digest: digestSchema, upload: z.uuid(), url: z.url(), headers: z.record(z.string(), z.string()) })),
})
export type DirectPutAnswer = z.infer<typeof directPutAnswer>
/** `POST objects/direct/commit?session=ID` */
export const directCommitRequest = z.object({
  uploads: z
    .array(z.object({ digest: digestSchema, upload: z.uuid() }))
    .min(1)
    .max(MAX_DIRECT),
})
export const directCommitAnswer = z.object({ objects: z.array(objectAnswer) })
export type DirectCommitAnswer = z.infer<typeof directCommitAnswer>
/** `POST objects/direct/get` */
export const directGetRequest = z.object({ digests: z.array(digestSchema).min(1).max(MAX_DIRECT) })
export const directGetAnswer = z.object({
  expiresAt: time,
  check: directCheck,
  /** In the order asked. Without a url: it shares its place in the bucket with others, and comes through the server only. */
  objects: z.array(z.object({ digest: digestSchema, size: z.number().int(), url: z.url().optional() })),
})
export type DirectGetAnswer = z.infer<typeof directGetAnswer>

/** `POST uploads`: opens an upload in parts, or finds the one that stands for the same digest and size. */
export const uploadRequest = z.object({
  digest: digestSchema,
  size: z.number().int().positive().max(Number.MAX_SAFE_INTEGER),
  session: z.uuid().optional(),
})
/** Part `n` (from 0) starts at `n * partBytes`; all but the last have `partBytes` bytes. */
export const standingUpload = z.object({
  upload: z.uuid(),
  digest: digestSchema,
  size: z.number().int(),
  partBytes: z.number().int(),
  /** Numbers of the parts that are durable, ascending. */
  received: z.array(z.number().int()),
})
export type StandingUpload = z.infer<typeof standingUpload>
/** `upload: null`: the object is here already. */
export const uploadAnswer = z.union([
  standingUpload,
  z.object({ upload: z.null(), digest: digestSchema, size: z.number().int() }),
])
export type UploadAnswer = z.infer<typeof uploadAnswer>
export const partAnswer = z.object({ part: z.number().int(), outcome: z.enum(['stored', 'exists']) })
export type PartAnswer = z.infer<typeof partAnswer>
/** 202 to `POST uploads/:id/complete`: ask again. */
export const completingAnswer = z.object({ upload: z.uuid(), state: z.literal('verifying') })
export type CompletingAnswer = z.infer<typeof completingAnswer>

/** `POST sessions/:id/commit`: links the trees that the session holds. 409 TREE_INCOMPLETE names `data.missing`. */
export const commitRequest = z.object({ roots: z.array(digestSchema).max(MAX_DIGESTS) })
export const commitAnswer = z.object({ linked: z.array(digestSchema) })
export type CommitAnswer = z.infer<typeof commitAnswer>

/** The run cache: entries as dvc writes them, by their names. */
export const runNameSchema = z.string().refine(isRunName, 'not the name of a run') as unknown as z.ZodType<RunName>
const runEntry = z.object({ name: runNameSchema, entry: z.string().min(1).max(MAX_RUN_BYTES) })
/** `GET runs[?after=NAME]`: in the order of their names. `next` is the `after` of the next page, null for the last. */
export const runList = z.object({ runs: z.array(runNameSchema).max(MAX_RUN_NAMES), next: runNameSchema.nullable() })
export type RunList = z.infer<typeof runList>
/** `POST runs`: an entry that is there stays as it is. */
export const runsRequest = z.object({ runs: z.array(runEntry).min(1).max(MAX_RUN_ENTRIES) })
export const runsAnswer = z.object({ stored: z.number().int(), exists: z.number().int() })
export type RunsAnswer = z.infer<typeof runsAnswer>
/** `POST runs/fetch`: as many as fit, at least one where there is one; ask again for the others. */
export const runsFetchRequest = z.object({ runs: z.array(runNameSchema).min(1).max(MAX_RUN_ENTRIES) })
export const runsFetchAnswer = z.object({ runs: z.array(runEntry) })
export type RunsFetchAnswer = z.infer<typeof runsFetchAnswer>

export const project = z.object({
  slug: slugSchema,
  createdAt: time,
  objects: z.number().int(),
  bytes: z.number().int(),
  damaged: z.number().int(),
})
export type Project = z.infer<typeof project>
export const projectRequest = z.object({ slug: slugSchema })
export const projectList = z.object({ projects: z.array(project) })
export const damageList = z.object({
  damaged: z.array(z.object({ digest: digestSchema, size: z.number().int(), foundAt: time })),
})

export const token = z.object({
  id: z.uuid(),
  name: z.string(),
  /** null: every project. */
  projects: z.array(slugSchema).nullable(),
  scopes: z.array(scopeSchema),
  createdAt: time,
  expiresAt: time.nullable(),
  revokedAt: time.nullable(),
  lastUsedAt: time.nullable(),
})
export type Token = z.infer<typeof token>
export const tokenRequest = z.object({
  name: z.string().min(1).max(200),
  projects: z.array(slugSchema).min(1).max(1000).nullable(),
  scopes: z.array(scopeSchema).min(1),
  /** Seconds from now; null: never. */
  expiresIn: z
    .number()
    .int()
    .positive()
    .max(10 * 366 * 86_400)
    .nullable(),
})
export type TokenRequest = z.infer<typeof tokenRequest>
/** The secret is shown once, here. */
export const createdToken = z.object({ token, secret: z.string() })
export type CreatedToken = z.infer<typeof createdToken>
export const tokenList = z.object({ tokens: z.array(token) })

/** `GET /api/v1/whoami` */
export const whoami = z.object({ token, server: z.object({ version: z.string() }) })
export type Whoami = z.infer<typeof whoami>

export const JOB_STATES = ['queued', 'running', 'done', 'failed'] as const
export const job = z.object({
  id: z.string(),
  type: z.string(),
  state: z.enum(JOB_STATES),
  attempt: z.number().int(),
  createdAt: time,
  finishedAt: time.nullable(),
  progress: z.record(z.string(), z.unknown()).nullable(),
  error: z.string().nullable(),
})
export type Job = z.infer<typeof job>
export const jobRequest = z.object({ type: z.enum(['scrub', 'expire-sessions', 'expire-uploads']) })
export const jobList = z.object({ jobs: z.array(job) })

export const auditEvent = z.object({
  id: z.number().int(),
  at: time,
  action: z.string(),
  tokenId: z.string().nullable(),
  project: z.string().nullable(),
  detail: z.record(z.string(), z.unknown()),
})
export type AuditEvent = z.infer<typeof auditEvent>
export const auditList = z.object({ events: z.array(auditEvent) })

export const errorBody = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  requestId: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
})
