/** A sha256 that is computed beside the thread that serves. One of `digest` and `close` ends it. */
export interface SideHash {
  /** Takes the bytes: they cannot be read any more afterwards. Resolves when there is room for more. */
  update(bytes: Uint8Array): Promise<void>
  digest(): Promise<Uint8Array>
  close(): void
}
