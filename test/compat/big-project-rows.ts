import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gitsOutputsKeepTheirObjects, outsideFilesKeepTheirNames, type Rule } from './big-project-rules.ts'
import { dryRunsGoOn } from './foretold.ts'

/**
 * How stdout is compared: as it is; as JSON with its order of keys; as lines in any order, and as JSON with its stages and files in any
 * order, where stock's own order changes between runs; of pictures, what is connected with what; of plots, what is drawn and not how;
 * what goes, without its name and size; of a dry run, what is said of each stage.
 */
export type Form = 'boxes' | 'edges' | 'text' | 'json' | 'lines' | 'any order' | 'drawings' | 'removals' | 'foretold' | 'nothing'

export interface Row {
  /** A blank inside of an argument is written as a no-break space. */
  command: string
  form?: Form
  /** Edits by hand, before the command. */
  before?: (dir: string) => void
  /** Commands of the same client, before the command. */
  prepare?: string[]
  /** Takes away what cairn keeps and stock loses, before the two are compared; throws when it is not there. */
  kept?: (dir: string) => void
  /** Turns stock's answer into the one that cairn must give. */
  better?: Rule
  /** Compares what the cache holds, too. */
  objects?: true
  /** Stock fails halfway; cairn must leave everything as it was before the command. */
  failsWhole?: true
}

const edit = (file: string, from: string, to: string) => (dir: string) => {
  const place = path.join(dir, file)
  writeFileSync(place, readFileSync(place, 'utf8').replace(from, to))
}
const write = (file: string, text: string) => (dir: string) => {
  mkdirSync(path.dirname(path.join(dir, file)), { recursive: true })
  writeFileSync(path.join(dir, file), text)
}
const remove = (file: string) => (dir: string) => rmSync(path.join(dir, file), { recursive: true })
/** What .dvcignore hides is saved nowhere. */
const ignoredFile = (file: string) => (dir: string) => {
  rmSync(path.join(dir, file))
  if (readdirSync(path.dirname(path.join(dir, file))).length === 0) rmdirSync(path.dirname(path.join(dir, file)))
}
/** Stock does not know a folder's size any more when a file of it was replaced. */
const sizeOf = (file: string, size: number) => (dir: string) => {
  const text = readFileSync(path.join(dir, file), 'utf8')
  if (!text.includes(`  size: ${size}\n`)) throw new Error(`${file} lacks its size of ${size}:\n${text}`)
  edit(file, `  size: ${size}\n`, '')(dir)
}
const all =
  (...steps: Array<(dir: string) => void>) =>
  (dir: string) => {
    for (const step of steps) step(dir)
  }
/** A working day's changes of every kind. */
const changes = all(
  write('images/new/today.txt', 'today\n'),
  write('images/s0/f0.txt', 'changed\n'),
  remove('images/s1/f1.txt'),
  write('assets/beta.txt', 'changed\n'),
  remove('assets/gamma.txt'),
  write('work/stamp.txt', 'by hand\n'),
  edit('config/train.toml', 'depth = 2', 'depth = 3'),
  edit('config/settings.py', 'EPOCHS = 3', 'EPOCHS = 5'),
  edit('config/features.json', '0.5', '0.6'),
  edit('params.yaml', 'draft: true', 'draft: false'),
  edit('extra/counts.yaml', 'archive: 2', 'archive: 3'),
  edit('extra/history.csv', '3,0.3,0.6', '3,0.2,0.7'),
)

/** Without the file that is missing: what stock commits before it meets that one changes between runs. */
const savedChanges = all(changes, write('assets/gamma.txt', 'changed\n'))

/** Commands that only tell. */
export const TELLING: Row[] = [
  { command: 'status', form: 'lines' },
  { command: 'status --json', form: 'any order' },
  { command: 'status --json', form: 'any order', before: changes },
  { command: 'status assets/beta.txt.dvc images models/dvc.yaml:report', form: 'lines', before: changes },
  { command: 'status --with-deps models/dvc.yaml:compare', form: 'lines', before: changes },
  { command: 'data status' },
  { command: 'data status --json', form: 'json' },
  { command: 'data status', form: 'lines', before: changes },
  { command: 'data status --granular --json', form: 'any order', before: changes },
  { command: 'data status --granular --unchanged --untracked-files all', form: 'lines', before: changes },
  { command: 'diff', before: changes },
  { command: 'diff v1.0 v10.0' },
  { command: 'diff v3.0 v7.0 --json', form: 'json' },
  { command: 'diff v5.0 --md', before: changes },
  { command: 'diff v1.0 v10.0 --json --show-hash', form: 'json' },
  { command: 'diff v1.0 v10.0 --targets images assets/alpha.txt' },
  { command: 'metrics show' },
  { command: 'metrics show --json', form: 'json' },
  { command: 'metrics show -a --json', form: 'json' },
  { command: 'metrics show -T --md' },
  { command: 'metrics show models/metrics/forest-north.json --precision 2' },
  { command: 'metrics diff v1.0 v10.0', form: 'lines' },
  { command: 'metrics diff v3.0 --json', form: 'any order', before: changes },
  { command: 'metrics diff v1.0 v10.0 --md --all', form: 'lines' },
  { command: 'params diff', form: 'lines', before: changes },
  { command: 'params diff v1.0 v10.0 --json', form: 'any order' },
  { command: 'params diff v1.0 topic/windows --md', form: 'lines' },
  { command: 'params diff v2.0 --all --json', form: 'any order', before: changes },
  { command: 'plots show --json', form: 'drawings' },
  { command: 'plots diff v1.0 v10.0 --json', form: 'drawings' },
  { command: 'plots templates' },
  { command: 'dag', form: 'boxes' },
  { command: 'dag --dot', form: 'lines' },
  { command: 'dag --mermaid', form: 'edges' },
  { command: 'dag --md', form: 'edges' },
  { command: 'dag --dot --outs', form: 'lines' },
  { command: 'dag --mermaid models/dvc.yaml:compare', form: 'edges' },
  { command: 'dag --dot --full features/dvc.yaml:select', form: 'lines' },
  { command: 'stage list' },
  { command: 'stage list --all', form: 'lines' },
  { command: 'stage list --all --names-only', form: 'lines' },
  { command: 'stage list models/dvc.yaml' },
  { command: 'list . -R --dvc-only' },
  { command: 'list . images --json', form: 'json' },
  { command: 'list . models --rev v1.0 --size' },
  { command: 'du . images', form: 'lines' },
  { command: 'check-ignore -d images/skipped.tmp scratch/x README.md' },
  { command: 'root' },
  { command: 'config -l', form: 'lines' },
  { command: 'exp list' },
  { command: 'exp show --json', form: 'any order', better: outsideFilesKeepTheirNames },
  { command: 'artifacts get . nosuch', form: 'nothing' },
]

/** Commands that change the workspace, the stage files or the cache. */
export const CHANGING: Row[] = [
  { command: 'repro --dry', form: 'lines' },
  { command: 'repro --dry -P', form: 'foretold', before: changes, better: dryRunsGoOn },
  { command: 'repro models/dvc.yaml:report', form: 'lines' },
  { command: 'repro models/dvc.yaml:report', form: 'lines', before: edit('params.yaml', 'title: report 25', 'title: another') },
  { command: 'repro -s features/dvc.yaml:select', form: 'lines', before: write('features/out/mean-1.txt', 'by hand\n') },
  { command: 'repro ingest', form: 'lines', before: write('raw/north.csv', '1,2,k3\n') },
  { command: 'repro --downstream models/dvc.yaml:compare', form: 'lines', before: edit('params.yaml', 'intro', 'start') },
  { command: 'repro --glob clean@*', form: 'lines' },
  { command: 'checkout' },
  { command: 'checkout --summary', prepare: ['checkout', 'git checkout -q v1.0'] },
  { command: 'checkout', prepare: ['checkout', 'git checkout -q v5.0'] },
  { command: 'checkout -f', before: changes },
  { command: 'checkout', before: changes },
  { command: 'checkout images/s1/f1.txt', before: remove('images/s1/f1.txt') },
  { command: 'checkout --recursive assets', before: all(remove('assets/gamma.txt'), remove('assets/delta.txt')) },
  { command: 'commit -f', form: 'nothing', before: savedChanges },
  { command: 'commit', form: 'nothing', before: changes },
  { command: 'commit -f models/dvc.yaml:report', form: 'nothing', before: write('models/report.md', 'by hand\n') },
  { command: 'add images', form: 'lines', before: changes },
  {
    command: 'add assets/beta.txt assets/a\u00a0new.txt',
    form: 'lines',
    before: all(changes, write('assets/a new.txt', 'new\n')),
  },
  {
    command: 'add images/s0/f0.txt',
    form: 'lines',
    before: write('images/s0/f0.txt', 'changed\n'),
    kept: sizeOf('images.dvc', 417),
  },
  { command: 'add --glob extra/*.svg', form: 'lines', prepare: ['git rm -q --cached extra/picture.svg'] },
  { command: 'remove assets/beta.txt.dvc' },
  { command: 'remove images.dvc --outs', kept: ignoredFile('images/skipped.tmp') },
  { command: 'remove handbook' },
  { command: 'remove ingest@north', failsWhole: true },
  { command: 'move assets/beta.txt assets/moved.txt', form: 'lines' },
  { command: 'move images pictures', form: 'lines' },
  { command: 'freeze merge' },
  { command: 'unfreeze schema' },
  { command: 'freeze clean@north' },
  { command: 'unprotect images' },
  { command: 'stage add -n more -d README.md -o more.txt cp\u00a0README.md\u00a0more.txt', form: 'lines' },
  { command: 'update assets/licence.txt.dvc' },
  { command: 'gc -w --dry', form: 'removals', objects: true, better: gitsOutputsKeepTheirObjects('workspace') },
  { command: 'gc -w -f', form: 'removals', objects: true, better: gitsOutputsKeepTheirObjects('workspace') },
  { command: 'gc -aT -f', form: 'removals', objects: true, better: gitsOutputsKeepTheirObjects('branches and tags') },
]

/** With a folder and with a server as remote. */
export const SHARING: Row[] = [
  { command: 'push' },
  { command: 'push', prepare: ['push -q'] },
  { command: 'push -T' },
  { command: 'push images assets/beta.txt' },
  { command: 'push --all-commits', form: 'text' },
  // Of files with the same content stock names one, another in each run.
  { command: 'status -c', form: 'nothing' },
  { command: 'status -c', prepare: ['push -q'] },
  { command: 'fetch', prepare: ['push -q', 'rm -r .dvc/cache'] },
  { command: 'fetch -T', prepare: ['push -q -T', 'rm -r .dvc/cache'] },
  { command: 'pull', prepare: ['push -q', 'rm -r .dvc/cache images assets/beta.txt work/merged'] },
  { command: 'pull images/s0 models/dvc.yaml:report', prepare: ['push -q', 'rm -r .dvc/cache images models/report.md'] },
  { command: 'pull', prepare: ['push -q -T', 'rm -r .dvc/cache', 'git checkout -q v3.0'] },
]

/** What cairn does not answer as stock yet; each row is checked to be really failing, so that the list shrinks. */
export const NOT_YET: ReadonlySet<string> = new Set<string>()
