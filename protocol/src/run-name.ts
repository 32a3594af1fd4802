/**
 * An entry of the run cache: `<key>/<value>`, 64 hex digits each. The key is a hash of what a run read, the value one of that and
 * of what it made, so an entry under a name never says two things.
 */
export type RunName = string & { readonly __run: never }

const NAME = /^[0-9a-f]{64}\/[0-9a-f]{64}$/
const PATH = /^runs\/([0-9a-f]{2})\/(\1[0-9a-f]{62}\/[0-9a-f]{64})$/

export const isRunName = (text: string): text is RunName => NAME.test(text)

/** Where dvc files it, in a cache and in a remote. */
export const runPath = (name: RunName): string => `runs/${name.slice(0, 2)}/${name}`

/** undefined for a path that is none of an entry. */
export const runOfPath = (path: string): RunName | undefined => PATH.exec(path)?.[2] as RunName | undefined

/** Longer entries are none that a tool made. */
export const MAX_RUN_BYTES = 1024 * 1024
/** At most this many names in one question or answer, and this many entries in one body. */
export const MAX_RUN_NAMES = 10_000
export const MAX_RUN_ENTRIES = 1000
/** The entries of one body together, as they rest. */
export const RUN_BODY_BYTES = 4 * 1024 * 1024
