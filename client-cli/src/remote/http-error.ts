import { CairnError, ERRORS, type ErrorCode, isCode } from '@cairn/protocol/error'

/** A failure that may pass by itself: the request is worth another try. Never leaves the client. */
export class TransientError extends Error {
  readonly failure: CairnError
  /** What the server asked for, in milliseconds. */
  readonly retryAfter: number | undefined
  /** How often the request is worth sending. */
  readonly attempts: number

  constructor(failure: CairnError, options: { retryAfter?: number | undefined; attempts?: number } = {}) {
    super(failure.message, { cause: failure })
    this.failure = failure
    this.retryAfter = options.retryAfter
    this.attempts = options.attempts ?? Number.POSITIVE_INFINITY
  }
}

const PASSING_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504])
/** A server's own fault may come again each time. */
const FAULT_ATTEMPTS = 6
/** A frame that is broken each time was made so. */
const FRAME_ATTEMPTS = 3

/** The part of an answer that an error is made from. `body` is its first bytes. */
export interface ErrorAnswer {
  status: number
  reason: string
  retryAfter: string | undefined
  body: string
  /** Without credentials. */
  url: string
}

/** The error that an answer stands for: the server's own words where it is Cairn's, else the status. */
export function answerError(answer: ErrorAnswer, credentialSource: string): CairnError | TransientError {
  const failure = parseErrorBody(answer.body, credentialSource) ?? foreignError(answer, credentialSource)
  if (!PASSING_STATUSES.has(answer.status)) return failure
  const retryAfter = parseRetryAfter(answer.retryAfter)
  return new TransientError(failure, { retryAfter, ...(answer.status === 500 && { attempts: FAULT_ATTEMPTS }) })
}

function parseErrorBody(body: string, credentialSource: string): CairnError | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { code, message, hint, data } = parsed as Record<string, unknown>
  if (typeof code !== 'string' || !(code in ERRORS) || typeof message !== 'string') return undefined
  const told = typeof hint === 'string' ? hint : undefined
  const better = authHint(code, credentialSource) ?? told
  return new CairnError(code as ErrorCode, message, {
    exit: 1,
    ...(better !== undefined && { hint: better }),
    ...(typeof data === 'object' && data !== null && { data: data as Record<string, unknown> }),
  })
}

/** The client knows where its token came from, the server does not. */
function authHint(code: string, credentialSource: string): string | undefined {
  if (code !== 'UNAUTHENTICATED' && code !== 'TOKEN_EXPIRED' && code !== 'TOKEN_REVOKED') return undefined
  if (credentialSource === '') return "No token was presented. Run 'cairn login URL', or set CAIRN_TOKEN."
  return `The token came from ${credentialSource}. Ask for a new one and run 'cairn login URL', or set CAIRN_TOKEN.`
}

function foreignError(answer: ErrorAnswer, credentialSource: string): CairnError {
  const { status, reason, url } = answer
  if (status === 401 || status === 403) {
    const hint =
      credentialSource === ''
        ? "No credentials were presented. Set the remote's auth, user and password with 'cairn remote modify --local'."
        : `The credentials came from ${credentialSource}.`
    return new CairnError(status === 401 ? 'UNAUTHENTICATED' : 'FORBIDDEN', `${url}: ${status} ${reason}`.trim(), {
      exit: 1,
      hint,
    })
  }
  return new CairnError('REMOTE_FAILED', `${url}: the remote answered ${status} ${reason}`.trim(), { exit: 1, data: { status } })
}

function parseRetryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const milliseconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined
}

const NETWORK_CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  ECONNABORTED: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'the network is unreachable',
  ENETDOWN: 'the network is down',
  EAI_AGAIN: 'the name cannot be resolved at the moment',
  ENOTFOUND: 'there is no host of that name',
  ERR_STREAM_PREMATURE_CLOSE: 'the connection was cut',
}

/** Those that no second try would change. */
const LASTING_CODES = new Set(['ENOTFOUND'])

/** What a failed connection means; undefined when the error is not one. */
export function networkError(error: unknown, url: string): CairnError | TransientError | undefined {
  const code = deepestCode(error)
  if (code === undefined) return undefined
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS)/.test(code)) {
    return new CairnError('UNREACHABLE', `cannot reach ${url}: its certificate is not trusted (${code})`, {
      hint: "Set the remote's ssl_verify to the file of your CA's certificate.",
      cause: error,
    })
  }
  const reason = NETWORK_CODES[code] ?? (code.startsWith('HPE_') ? 'the answer is not HTTP' : undefined)
  if (reason === undefined) return undefined
  const failure = new CairnError('UNREACHABLE', `cannot reach ${url}: ${reason} (${code})`, {
    hint: "Is the server running, and is the URL right? 'cairn remote list' shows it.",
    cause: error,
  })
  return LASTING_CODES.has(code) ? failure : new TransientError(failure)
}

/** Connecting to several addresses fails with one error that holds one for each. */
function deepestCode(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return deepestCode(error.errors[0])
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

export const stalled = (url: string, seconds: number): TransientError =>
  new TransientError(
    new CairnError('UNREACHABLE', `${url}: nothing came or went for ${seconds} s`, {
      hint: "The remote's read_timeout sets how long to wait.",
    }),
  )

/** A frame that broke on the way is as good as a broken connection. */
export const brokenFrame = (error: unknown, url: string): TransientError | undefined =>
  isCode(error, 'BAD_PACK')
    ? new TransientError(new CairnError('REMOTE_FAILED', `${url}: ${(error as Error).message}`, { cause: error, exit: 1 }), {
        attempts: FRAME_ATTEMPTS,
      })
    : undefined

export const cancelled = (signal: AbortSignal): CairnError =>
  signal.reason instanceof CairnError ? signal.reason : new CairnError('CANCELLED', 'interrupted', { cause: signal.reason })
