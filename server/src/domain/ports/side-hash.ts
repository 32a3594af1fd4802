/** The md5 and the sha256 of bytes, computed beside the thread that serves. One of `finish` and `close` ends it. */
export interface SideHash {
  /** Takes a block, and releases it once it is hashed. Resolves when there is room for more. */
  update(block: Uint8Array): Promise<void>
  /** md5: 32 hex digits. */
  finish(): Promise<{ md5: string; sha256: Uint8Array }>
  /** A second one that goes on from here. */
  copy(): SideHash
  close(): void
}
