/** The native protocol's constants, apart from its schemas: the CLI needs them and does not load a validator. */
export const API_VERSION = 1
/** The content type of a packed digest list (see `packDigests`). */
export const DIGESTS_TYPE = 'application/vnd.cairn.digests'
export const PACK_TYPE = 'application/vnd.cairn.pack'
export const DELTA_TYPE = 'application/vnd.cairn.delta'
export const CHUNKS_TYPE = 'application/vnd.cairn.chunks'
/** Names the session of an answer whose body is a packed digest list. */
export const SESSION_HEADER = 'cairn-session'
/** At most this many digests in one question. */
export const MAX_DIGESTS = 250_000
/**
 * What a server can beyond version 1's requests, as `capabilities` of its RemoteInfo. A client goes another way where one is
 * absent, and ignores those it does not know.
 * `uploads`: resumable parts. `tree-deltas`: a tree as a difference to one that the other side has. `deltas`: a large object
 * as a difference to others. `direct-get`, `direct-put`: straight from and to the bucket. `runs`: the run cache.
 */
export const CAPABILITIES = ['uploads', 'tree-deltas', 'deltas', 'direct-get', 'direct-put', 'runs'] as const
export type Capability = (typeof CAPABILITIES)[number]
export const MAX_TREE_BYTES = 256 * 1024 * 1024
/** A tree as the difference to another one (see `encodeTreeDelta`). */
export const TREE_DELTA_TYPE = 'application/vnd.cairn.tree-delta'
export const MAX_TREE_DELTA_BYTES = 16 * 1024 * 1024
/** At most this many bases to choose from in one question for a tree. */
export const MAX_TREE_BASES = 16
/** At most this many objects in one question about direct ways. */
export const MAX_DIRECT = 100
/** The longest object that one PUT to a bucket takes: S3's own limit. */
export const MAX_DIRECT_BYTES = 5 * 1024 ** 3
