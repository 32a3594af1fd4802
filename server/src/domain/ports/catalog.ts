import type { Digest } from '@cairn/protocol/digest'
import type { RunName } from '@cairn/protocol/run-name'
import type { Scope } from '@cairn/protocol/scope'
import type { BlobDraft } from './blob-store.ts'

/** An entry of the run cache. */
export interface RunRow {
  name: RunName
  entry: Uint8Array
}

export interface ProjectRow {
  id: number
  slug: string
  createdAt: Date
}

/** `live` can be read; `pending` is a tree that waits in a session for its closure; `damaged` no longer hashes to its digest. */
export type ObjectState = 'live' | 'pending' | 'damaged'

export interface ObjectRow {
  id: number
  digest: Digest
  size: number
  sha256: Uint8Array
  state: ObjectState
  blobId: number
  key: string
  /** Where the object starts in its blob, in bytes: 0 for a blob of its own. */
  offset: number
  /** Only for trees: a member was lost, so the tree answers "missing" to whoever may write. */
  broken: boolean
}

export interface NewObject {
  digest: Digest
  size: number
  /** 32 bytes. */
  sha256: Uint8Array
  offset: number
}

export type LinkOutcome = 'stored' | 'exists' | 'conflict'

export interface NewTree {
  entries: number
  /** The sum of the sizes of the tree's files. */
  bytes: number
  /** Ids of the member objects, ascending, without doubles. */
  members: readonly number[]
  /** Spares a look at each of them. */
  vouched?: Vouched | undefined
}

/** The files of a tree, in its order; a file may come more than once. */
export interface TreeMembers {
  /** 16 bytes each. */
  md5s: Uint8Array
  legacy: boolean
}

export interface FoundMembers {
  /** md5s of those that are not live, 16 bytes each, each once, in the tree's order. */
  missing: Uint8Array
  /** How often the tree names each of them. */
  times: ArrayLike<number>
  /** Ids of the others, ascending, without doubles. */
  present: number[]
  /** The sum of their sizes, where each counts as often as it comes. */
  bytes: number
  /** The present tree that holds all of them but these. */
  vouched?: Vouched | undefined
}

export interface Vouched {
  /** A live tree that is whole, by its object id. */
  base: number
  /** Members that are not the base's. */
  others: readonly number[]
}

/** The files that one tree names more or less often than another. */
export interface ChangedMembers {
  /** 16 bytes each. */
  md5s: Uint8Array
  /** How often the base names each, and how often the tree. */
  before: readonly number[]
  after: readonly number[]
}

export interface SessionRow {
  id: string
  projectId: number
  expiresAt: Date
}

/** A blob that somebody may store straight into the bucket. */
export interface DirectUpload {
  /** A uuid. */
  id: string
  digest: Digest
  size: number
  /** 32 bytes. */
  sha256: Uint8Array
  key: string
}

/** An upload in parts that stands. */
export interface UploadRow {
  id: string
  projectId: number
  digest: Digest
  draft: BlobDraft
}

/** `received`: the part is there for good. `busy`: another sender is at it. `gone`: there is no such upload. */
export type PartClaim = 'claimed' | 'received' | 'busy' | 'gone'

/** Names one part and who sends it. */
export interface PartSender {
  uploadId: string
  number: number
  /** A fresh uuid an attempt. */
  sender: string
}

export interface TokenRow {
  id: string
  name: string
  /** null: every project. */
  projects: readonly string[] | null
  scopes: readonly Scope[]
  createdAt: Date
  expiresAt: Date | null
  revokedAt: Date | null
  lastUsedAt: Date | null
}

export interface AuditRow {
  id: number
  at: Date
  action: string
  tokenId: string | null
  project: string | null
  detail: Record<string, unknown>
}

export interface Usage {
  objects: number
  bytes: number
  damaged: number
}

/**
 * The metadata. Every method is one round trip or one transaction; lists are handled in batches of bounded size by the
 * adapter. All of it is scoped to a project id: an object of another project is no object at all.
 */
export interface Catalog {
  createProject(slug: string): Promise<ProjectRow | undefined>
  findProject(slug: string): Promise<ProjectRow | undefined>
  listProjects(): Promise<ProjectRow[]>
  usage(projectId: number): Promise<Usage>

  /** Rows in any state, in any order; unknown digests are left out. */
  findObjects(projectId: number, digests: readonly Digest[]): Promise<ObjectRow[]>
  /**
   * Those of the packed digests (`packDigests`) that are not present, packed, in their order. Present: live, and for a tree
   * not broken. `present` is the other half, as object ids in any order, for the lease.
   */
  findMissing(projectId: number, packed: Uint8Array): Promise<{ missing: Uint8Array; present: Float64Array }>
  /**
   * Adds one blob and the objects in it, in one transaction. For each object, in order: `stored` (new, or its damaged row now
   * points here, or was pending), `exists` (a live row with the same sha256 stands), `conflict` (a row with another sha256;
   * it stays as it is). A blob that gained no object is put into the trash in the same transaction.
   * `bases`: the keys of the blobs that a delta is made of; they stay as long as it does.
   * @throws CairnError BASE_UNKNOWN when one of them is gone
   * `state: 'pending'` is for trees whose closure is not complete yet; a live row is never made pending.
   */
  linkBlob(
    projectId: number,
    blob: { key: string; size: number; kind: 'single' | 'pack' | 'delta'; bases?: readonly string[] },
    objects: readonly NewObject[],
    options?: { state?: 'live' | 'pending' },
  ): Promise<LinkOutcome[]>
  /** Which files of a tree are live. A million of them take some 50 MB, and no pause of the server. */
  findMembers(projectId: number, members: TreeMembers): Promise<FoundMembers>
  /** The same of a tree that is a change of another; undefined when that one is not live or not whole. Costs what changed. */
  findChangedMembers(
    projectId: number,
    base: number,
    changes: ChangedMembers & { legacy: boolean },
  ): Promise<FoundMembers | undefined>
  /** Makes a pending tree live (or a broken one whole), with its members, if all members are live; false if one is not. */
  linkTree(projectId: number, digest: Digest, tree: NewTree): Promise<boolean>
  /** Keeps what is known of a pending tree for its commit. False when a member is no longer live: then nothing is kept. */
  holdTree(projectId: number, digest: Digest, tree: NewTree & Pick<FoundMembers, 'missing' | 'times'>): Promise<boolean>
  /**
   * Makes a pending tree live that was held, if what it lacked is live by now. Resolves with the md5s that are not; undefined
   * when it was not held, or a member was lost since: then its bytes have to be looked at again.
   */
  linkHeldTree(projectId: number, digest: Digest): Promise<Uint8Array | undefined>
  /** Marks objects damaged and every tree that holds one of them broken. Returns the broken trees. */
  markDamaged(projectId: number, objectIds: readonly number[]): Promise<Digest[]>
  /** Makes broken trees whole again whose members are all live by now. Called after damaged objects were stored anew. */
  mendTrees(projectId: number): Promise<Digest[]>
  listDamaged(projectId: number): Promise<Array<{ digest: Digest; size: number; foundAt: Date }>>
  /** An object's packed list of chunks, where one was kept. */
  findChunkList(objectId: number): Promise<Uint8Array | undefined>
  /** Keeps it as long as the object. */
  keepChunkList(objectId: number, packed: Uint8Array): Promise<void>

  /** Blobs by id after `afterId` with their objects, least recently verified first is not required: ascending id, for scrub. */
  listBlobs(
    afterId: number,
    limit: number,
  ): Promise<Array<{ id: number; projectId: number; key: string; size: number; objects: ObjectRow[] }>>
  markVerified(blobIds: readonly number[]): Promise<void>

  /** Neither waits for the disk: a crash of the database may take the last second's back, and whoever names such a session starts over. */
  openSession(projectId: number, tokenId: string, intent: 'push' | 'pull', lifetimeSeconds: number): Promise<SessionRow>
  /** Extends a session of this project; undefined when there is none or it has expired. */
  renewSession(projectId: number, sessionId: string, lifetimeSeconds: number): Promise<SessionRow | undefined>
  /**
   * One row for the whole batch: what this session was told is present. `lasting: false`: a crash of the database may take
   * back those of the last second, along with whatever relied on them.
   */
  addLease(sessionId: string, objectIds: ArrayLike<number>, options?: { lasting: boolean }): Promise<void>
  closeSession(sessionId: string): Promise<void>
  /** Deletes expired sessions with their leases and the pending trees that no session waits for; their blobs go to the trash. */
  expireSessions(): Promise<{ sessions: number; trees: number }>
  /** Blobs whose bytes may be deleted now: in the trash for at least `olderThanSeconds`. */
  listTrash(olderThanSeconds: number, limit: number): Promise<Array<{ id: number; key: string }>>
  removeTrash(ids: readonly number[]): Promise<void>

  /** Notes uploads before others are enabled to make them. */
  addDirectUploads(projectId: number, uploads: readonly DirectUpload[]): Promise<void>
  /** In any order; those that are unknown to this project are left out. */
  findDirectUploads(projectId: number, ids: readonly string[]): Promise<DirectUpload[]>
  removeDirectUploads(ids: readonly string[]): Promise<void>
  /** Forgets uploads of that age and puts the keys that no blob has into the trash; returns the number of these. */
  expireDirectUploads(olderThanSeconds: number): Promise<number>

  /** The standing upload of this digest and size, whoever opened it. */
  findStandingUpload(projectId: number, digest: Digest, size: number): Promise<UploadRow | undefined>
  /** Opens an upload; where one of the same digest and size stands, that one is the answer. `full`: `most` are open already. */
  openUpload(projectId: number, digest: Digest, draft: BlobDraft, most: number): Promise<UploadRow | 'full'>
  findUpload(projectId: number, uploadId: string): Promise<UploadRow | undefined>
  /** Receipts of the parts that are there, by number, ascending. */
  listParts(uploadId: string): Promise<Array<{ number: number; receipt: string }>>
  /** Gives a part to one sender for so long. A part that has a receipt is never given out again. */
  claimPart(part: PartSender, leaseSeconds: number): Promise<PartClaim>
  /** False when the claim was lost to another sender, or the upload is gone. */
  renewPart(part: PartSender, leaseSeconds: number): Promise<boolean>
  /** Ends a claim with a receipt, which is the upload's progress, or without one. False as `renewPart`. */
  settlePart(part: PartSender, receipt: string | undefined): Promise<boolean>
  /** Gives the completion to one process for so long, again and again to the same; false while another has it or none stands. */
  claimCompletion(uploadId: string, completer: string, leaseSeconds: number): Promise<boolean>
  endCompletion(uploadId: string, completer: string): Promise<void>
  /**
   * Removes an upload with its parts; `completer` is who may do it while it is being completed. `trash` also puts its key into
   * the trash. False when there was none to remove.
   */
  removeUpload(uploadId: string, options?: { completer?: string | undefined; trash?: boolean }): Promise<boolean>
  /** Uploads without progress for so long. */
  listIdleUploads(idleSeconds: number, limit: number): Promise<UploadRow[]>
  /** What the blob store calls the drafts of all standing uploads. */
  listDrafts(): Promise<Set<string>>

  /** Names of the run cache's entries behind `after`, in their order. */
  listRuns(projectId: number, after: RunName | undefined, limit: number): Promise<RunName[]>
  /** Those that are there, by name, as many as have `bytes` together; always at least one. */
  findRuns(projectId: number, names: readonly RunName[], bytes: number): Promise<RunRow[]>
  /** Keeps those that are new, in the name of a token; returns their number. What is there stays as it is. */
  addRuns(projectId: number, tokenId: string, runs: readonly RunRow[]): Promise<number>

  createToken(token: Omit<TokenRow, 'createdAt' | 'revokedAt' | 'lastUsedAt'>): Promise<TokenRow>
  findToken(id: string): Promise<TokenRow | undefined>
  listTokens(): Promise<TokenRow[]>
  /** Also tells every replica (NOTIFY); false when there is no such token. */
  revokeToken(id: string): Promise<boolean>
  /** At most once a minute a token: a hint for its owner, not an audit. */
  touchTokens(ids: readonly string[]): Promise<void>
  /** The HMAC key that signs tokens, made at first use and the same for all replicas. */
  signingKey(): Promise<Uint8Array>

  audit(event: {
    action: string
    tokenId?: string | undefined
    project?: string | undefined
    detail?: Record<string, unknown>
  }): Promise<void>
  listAudit(options: { limit: number; before?: number | undefined }): Promise<AuditRow[]>

  /** Calls back with the ids of revoked tokens as other replicas tell them; reconnects by itself. Ends when the signal aborts. */
  watchRevocations(onRevoked: (tokenId: string) => void, signal: AbortSignal): Promise<void>
  check(signal: AbortSignal): Promise<void>
}
