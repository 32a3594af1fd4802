import { type Digest, makeDigest } from '@cairn/protocol/digest'
import type { Out, Stage } from './stage.ts'

/** A stage as a test needs it: paths in, everything else as in a 2019 file. */
export function makeStage(
  address: string,
  options: Omit<Partial<Stage>, 'deps' | 'outs'> & {
    deps?: readonly string[]
    outs?: readonly (string | Partial<Out>)[]
    digest?: Digest
  } = {},
): Stage {
  const { deps = [], outs = [], digest, ...rest } = options
  const recorded = digest === undefined ? {} : { recorded: { digest } }
  return {
    address,
    file: address,
    kind: 'legacy',
    cmd: `make ${address}`,
    wdir: '',
    params: [],
    frozen: false,
    alwaysChanged: false,
    ...rest,
    deps: deps.map((path) => ({ path, def: path, ...recorded })),
    outs: outs.map((out) => {
      const path = typeof out === 'string' ? out : (out.path ?? 'out')
      return { path, def: path, cache: true, persist: false, push: true, ...recorded, ...(typeof out === 'string' ? {} : out) }
    }),
  }
}

export const digestOf = (digit: string, options: { tree?: boolean; legacy?: boolean } = {}): Digest =>
  makeDigest(digit.repeat(32), options)
