/**
 * Every failure that Cairn reports on purpose, on both sides of the wire: one row a code. `status` is the HTTP status
 * that the server answers with, `exit` the CLI's exit code (dvc's: 1 command failed, 251 configuration, 253 not a
 * repository, 254 usage, 255 anything else).
 */
export const ERRORS = {
  // requests
  BAD_REQUEST: { status: 400, exit: 255, summary: 'the request is malformed' },
  BAD_DIGEST: { status: 400, exit: 255, summary: 'not a digest' },
  BAD_TREE: { status: 422, exit: 255, summary: 'the tree is malformed or holds an unsafe path' },
  BAD_PACK: { status: 422, exit: 255, summary: 'the pack is malformed or cut short' },
  BAD_DELTA: { status: 422, exit: 255, summary: 'the delta is malformed, or does not fit its bases' },
  BODY_TOO_LARGE: { status: 413, exit: 255, summary: 'the body is larger than the server accepts' },
  BODY_TOO_SHORT: { status: 400, exit: 255, summary: 'the body ended before its announced length' },
  BODY_STALLED: { status: 408, exit: 255, summary: 'no byte of the body arrived for too long' },
  RANGE_NOT_SATISFIABLE: { status: 416, exit: 255, summary: 'the object has no such range' },
  // who may do what
  UNAUTHENTICATED: { status: 401, exit: 1, summary: 'no valid token was presented' },
  TOKEN_EXPIRED: { status: 401, exit: 1, summary: 'the token has expired' },
  TOKEN_REVOKED: { status: 401, exit: 1, summary: 'the token was revoked' },
  FORBIDDEN: { status: 403, exit: 1, summary: 'the token does not allow this' },
  // objects
  NOT_FOUND: { status: 404, exit: 255, summary: 'no such thing here' },
  PROJECT_UNKNOWN: { status: 404, exit: 1, summary: 'no such project, or the token does not reach it' },
  PROJECT_EXISTS: { status: 409, exit: 1, summary: 'a project of that name exists' },
  OBJECT_UNKNOWN: { status: 404, exit: 1, summary: 'the project has no such object' },
  OBJECT_DAMAGED: { status: 410, exit: 1, summary: 'the stored bytes no longer hash to their digest' },
  DIGEST_MISMATCH: { status: 422, exit: 1, summary: 'the bytes do not hash to the digest they were sent under' },
  DIGEST_CONFLICT: { status: 409, exit: 1, summary: 'the digest is known with other bytes' },
  BASE_UNKNOWN: { status: 409, exit: 1, summary: 'the project lacks an object that the delta builds on' },
  TREE_INCOMPLETE: { status: 409, exit: 1, summary: 'entries of the tree are missing' },
  SESSION_UNKNOWN: { status: 404, exit: 1, summary: 'no such session, or it has expired' },
  UPLOAD_UNKNOWN: { status: 404, exit: 1, summary: 'no such upload, or it was completed, given up or has expired' },
  UPLOAD_INCOMPLETE: { status: 409, exit: 1, summary: 'parts of the upload are missing' },
  UPLOAD_BUSY: { status: 503, exit: 1, summary: 'somebody else is at the same part or completes the upload' },
  UPLOADS_FULL: { status: 409, exit: 1, summary: 'the project has as many open uploads as it may' },
  // the server's state
  OVERLOADED: { status: 503, exit: 1, summary: 'the server is at its limit' },
  STORAGE_FULL: { status: 507, exit: 1, summary: 'the storage is full' },
  STORAGE_FAILED: { status: 503, exit: 1, summary: 'the blob store failed' },
  SHUTTING_DOWN: { status: 503, exit: 1, summary: 'the server is stopping' },
  INTERNAL: { status: 500, exit: 255, summary: 'a bug in the server' },
  // the CLI
  NOT_A_REPOSITORY: { status: 400, exit: 253, summary: 'not inside a DVC repository' },
  CONFIG: { status: 400, exit: 251, summary: 'the configuration is wrong' },
  USAGE: { status: 400, exit: 254, summary: 'the command line is wrong' },
  COMMAND_FAILED: { status: 400, exit: 1, summary: 'the command failed' },
  FAILED: { status: 400, exit: 255, summary: 'the operation failed' },
  STAGE_FILE_INVALID: { status: 400, exit: 255, summary: 'a stage file is invalid' },
  STAGE_FAILED: { status: 400, exit: 255, summary: 'a stage failed' },
  UNSAVED: { status: 400, exit: 255, summary: 'workspace bytes that are saved nowhere would be lost' },
  CACHE_MISSING: { status: 400, exit: 255, summary: 'objects are missing from the cache' },
  CACHE_DAMAGED: { status: 400, exit: 255, summary: 'a cached object no longer hashes to its digest' },
  LOCKED: { status: 400, exit: 255, summary: 'another process holds the lock' },
  UNREACHABLE: { status: 502, exit: 1, summary: 'the remote cannot be reached' },
  REMOTE_FAILED: { status: 502, exit: 1, summary: 'the remote answered with an error' },
  CANCELLED: { status: 499, exit: 252, summary: 'interrupted' },
} as const satisfies Record<string, { status: number; exit: number; summary: string }>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorDetails {
  /** What to do next, for the person who reads it. */
  hint?: string
  cause?: unknown
  /** Overrides the exit code of the table, where a command has dvc's own. */
  exit?: number
  /** Machine-readable extra of the answer, e.g. `{ missing: Digest[] }`. Never a secret. */
  data?: Record<string, unknown>
}

/** A failure that is told to the user as one line. A bug throws a plain `Error` instead. */
export class CairnError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly exit: number
  readonly data: Record<string, unknown> | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'CairnError'
    this.code = code
    this.hint = details.hint
    this.exit = details.exit ?? ERRORS[code].exit
    this.data = details.data
  }

  get status(): number {
    return ERRORS[this.code].status
  }
}

/** True for a `CairnError` of this code and for a system error of this code (`ENOENT`, …). */
export function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

/** The body of every error answer. */
export interface ErrorBody {
  code: ErrorCode
  message: string
  hint?: string
  requestId?: string
  data?: Record<string, unknown>
}
