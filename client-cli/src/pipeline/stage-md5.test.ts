import { expect, test } from 'vitest'
import { documentMd5, stageMd5 } from './stage-md5.ts'
import { parseStageFile } from './stage-file.ts'

test('an import has the checksum dvc gives it', () => {
  const document = {
    md5: 'ignored',
    desc: 'ignored',
    frozen: true,
    wdir: '.',
    deps: [{ path: 'f', repo: { url: '/srv/imsrc', rev_lock: '6e37fe6df1a412b5750243f097b994e534f07d58' } }],
    outs: [{ md5: 'c0fb0e67f942c43d63b6decb180b5442', size: 4, hash: 'md5', path: 'f' }],
  }
  expect(documentMd5(document)).toBe('6985fccfe4a72ba44309b4f1edaca4d4')
})

test('a 2019 stage has the checksum DVC 0.30 gave it, whatever its metric says', () => {
  const evaluate = (metric: string) => `cmd: python3 -B code/ev.py
deps:
- md5: 60b725f10c9c85c70d97880dfe8191b3
  path: model/model.h5
md5: 532311ac57e2735c83679871ac673267
outs:
- cache: false
  md5: 293a16d12585d355f45699387bd2f1d0
  metric: ${metric}
  path: model/metrics.json
wdir: .
`
  for (const metric of ['true', 'false', '{type: json, xpath: acc}']) {
    expect(stageMd5(parseStageFile(evaluate(metric), 'evaluate.dvc'))).toBe('532311ac57e2735c83679871ac673267')
  }
})

test('the checksum covers the command and whether an output is cached', () => {
  const stage = parseStageFile('cmd: a\nouts:\n- cache: true\n  metric: false\n  path: x\nwdir: .\n', 'x.dvc')
  const [out] = stage.outs
  expect(stageMd5({ ...stage, cmd: 'b' })).not.toBe(stageMd5(stage))
  expect(stageMd5({ ...stage, outs: out ? [{ ...out, cache: false }] : [] })).not.toBe(stageMd5(stage))
  expect(stageMd5({ ...stage, frozen: true })).toBe(stageMd5(stage))
})
