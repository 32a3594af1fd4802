import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Stage } from '../../client-cli/src/pipeline/stage.ts'
import { digestOf, makeStage } from '../../client-cli/src/pipeline/stage-for-tests.ts'
import { changesOf, decide, sameValue, type Seen } from '../../client-cli/src/pipeline/staleness.ts'

const digest = fc.constantFrom('1', '2').map((digit) => digestOf(digit))
const maybeDigest = fc.option(digest, { nil: undefined })

/** A stage with a record, and surroundings that agree with it or not. */
const situation = fc
  .record({
    deps: fc.array(fc.record({ recorded: digest, now: maybeDigest }), { maxLength: 3 }),
    outs: fc.array(fc.record({ recorded: digest, now: maybeDigest, cached: fc.boolean(), cache: fc.boolean() }), {
      minLength: 1,
      maxLength: 3,
    }),
    frozen: fc.boolean(),
    command: fc.boolean(),
  })
  .map(({ deps, outs, frozen, command }) => {
    const { cmd, ...base } = makeStage('stage', { frozen })
    const stage: Stage = {
      ...base,
      ...(command && cmd !== undefined && { cmd }),
      deps: deps.map((dep, index) => ({ path: `dep-${index}`, def: `dep-${index}`, recorded: { digest: dep.recorded } })),
      outs: outs.map((out, index) => ({
        path: `out-${index}`,
        def: `out-${index}`,
        recorded: { digest: out.recorded },
        cache: out.cache,
        persist: false,
        push: true,
      })),
    }
    const seen: Seen = {
      deps: new Map(deps.map((dep, index) => [`dep-${index}`, dep.now])),
      params: new Map(),
      outs: new Map(outs.map((out, index) => [`out-${index}`, { digest: out.now, cached: out.cached }])),
    }
    const depsAgree = deps.every((dep) => dep.now === dep.recorded)
    const outsAgree = outs.every((out) => out.now === out.recorded && (out.cached || !out.cache))
    return { stage, seen, depsAgree, outsAgree }
  })

test('a stage is fresh exactly when all that counts is as recorded', () => {
  fc.assert(
    fc.property(situation, ({ stage, seen, depsAgree, outsAgree }) => {
      const verdict = decide(stage, changesOf(stage, seen), seen)
      expect(verdict === 'fresh').toBe(outsAgree && (depsAgree || stage.frozen))
    }),
  )
})

test('outs are only put back when nothing else differs, and never over bytes that stand there', () => {
  fc.assert(
    fc.property(situation, ({ stage, seen, depsAgree }) => {
      if (decide(stage, changesOf(stage, seen), seen) !== 'checkout') return
      expect(depsAgree || stage.frozen).toBe(true)
      for (const out of stage.outs) {
        const now = seen.outs.get(out.path)
        expect(now?.digest === out.recorded?.digest || (now?.digest === undefined && now?.cached && out.cache)).toBe(true)
      }
    }),
  )
})

test('what has no command, or is frozen, never runs', () => {
  fc.assert(
    fc.property(situation, ({ stage, seen }) => {
      const verdict = decide(stage, changesOf(stage, seen), seen)
      if (stage.cmd === undefined || stage.frozen) expect(verdict).not.toBe('run')
      else expect(verdict).not.toBe('commit')
    }),
  )
})

test('equality of values is that of their JSON, whatever the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
      const shuffled = JSON.parse(JSON.stringify(one, (_key, value: unknown) => reversed(value))) as unknown
      expect(sameValue(one, shuffled)).toBe(true)
      expect(sameValue(one, other)).toBe(sameValue(other, one))
      if (JSON.stringify(one) === JSON.stringify(other)) expect(sameValue(one, other)).toBe(true)
    }),
  )
})

function reversed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toReversed())
}
