const KEY = /^[0-9a-z_-]+(?:\/[0-9a-z_-]+)*$/

/** Keys are made by the domain: one that does not fit the contract is a bug, and must not reach a file system. */
export function assertKey(key: string): void {
  if (key.length > 200 || !KEY.test(key)) throw new Error(`not a blob key: ${JSON.stringify(key)}`)
}
