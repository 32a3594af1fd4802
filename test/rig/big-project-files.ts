export const REGIONS = ['north', 'south', 'east', 'west', 'centre', 'isles'] as const

/** 17 stages: lists, maps, a list of commands, a folder as output, a frozen one and one that always runs. */
const ROOT_PIPELINE = `# Regions are brought in one by one, then joined.
vars:
- label: nightly
- config/features.json:regions
stages:
  ingest:
    foreach: \${regions}
    do:
      desc: one region
      cmd: sh scripts/ingest.sh \${item} \${ingest.rows}
      deps:
      - raw/\${item}.csv
      - scripts/ingest.sh
      outs:
      - work/ingested/\${item}.csv
  clean:
    foreach: \${cleaning}
    do:
      cmd:
      - mkdir -p work/clean
      - grep -v '\${item.drop}' work/ingested/\${key}.csv > work/clean/\${key}.csv
      deps:
      - work/ingested/\${key}.csv
      outs:
      - work/clean/\${key}.csv:
          desc: rows of \${key}
  merge:  # a folder
    cmd:
    - mkdir work/merged
    - cat work/clean/north.csv work/clean/south.csv work/clean/east.csv > work/merged/first.csv
    - cat work/clean/west.csv work/clean/centre.csv work/clean/isles.csv > work/merged/second.csv
    - echo \${label} > work/merged/label.txt
    deps:
    - work/clean/centre.csv
    - work/clean/east.csv
    - work/clean/isles.csv
    - work/clean/north.csv
    - work/clean/south.csv
    - work/clean/west.csv
    outs:
    - work/merged
  split:
    cmd: sh scripts/split.sh \${split}
    deps:
    - scripts/split.sh
    - work/merged
    params:
    - split.ratio
    - split.seed
    outs:
    - work/test.csv
    - work/train.csv
  schema:
    cmd: mkdir -p work && head -n 1 raw/north.csv > work/schema.txt
    deps:
    - raw/north.csv
    outs:
    - work/schema.txt:
        cache: false
    frozen: true
  stamp:
    cmd: mkdir -p work && echo stamped > work/stamp.txt
    outs:
    - work/stamp.txt
    always_changed: true
  handbook:
    desc: The handbook's list of figures.
    cmd: ls figures/s0 > figures.txt
    wdir: docs
    deps:
    - figures
    outs:
    - figures.txt
    meta:
      owner: docs
params:
- params.yaml
metrics:
- extra/counts.yaml
plots:
- extra/history.csv:
    x: step
    y: loss
    title: Loss by step
- both losses:
    template: simple
    x: step
    y:
      extra/history.csv: [loss, accuracy]
artifacts:
  forest:
    path: models/out/forest-north.model
    type: model
    desc: What is shipped.
    labels:
    - shipped
`

/** 14 stages: a matrix of lists, a parameter file in JSON, an output that persists. */
const FEATURES_PIPELINE = `vars:
- ../config/features.json
stages:
  feature:
    matrix:
      kind: \${kinds}
      window: \${windows}
    cmd: sh ../scripts/feature.sh \${item.kind} \${item.window} \${threshold}
    deps:
    - ../scripts/feature.sh
    - ../work/train.csv
    params:
    - ../config/features.json:
      - threshold
    outs:
    - out/\${item.kind}-\${item.window}.txt
  select:
    cmd: cat out/mean-1.txt out/max-7.txt > selected.txt
    deps:
    - out/max-7.txt
    - out/mean-1.txt
    outs:
    - selected.txt
  pack:
    cmd: mkdir -p packed && cp selected.txt packed/selected.txt && chmod +x packed/selected.txt
    deps:
    - selected.txt
    outs:
    - packed:
        persist: true
`

/** 19 stages: a matrix of maps, parameters in TOML and Python, metrics and plots of every kind. */
const MODELS_PIPELINE = `stages:
  train:
    matrix:
      model: [forest, linear, tree]
      region:
      - north
      - south
      - east
    cmd: sh ../scripts/train.sh \${item.model} \${item.region}
    deps:
    - ../features/selected.txt
    - ../scripts/train.sh
    - ../work/clean/\${item.region}.csv
    params:
    - ../config/settings.py:
      - EPOCHS
      - Train.momentum
    - ../config/train.toml:
      - \${item.model}.lr
    outs:
    - out/\${item.model}-\${item.region}.model
    metrics:
    - metrics/\${item.model}-\${item.region}.json:
        cache: false
    plots:
    - plots/\${item.model}-\${item.region}.csv:
        cache: false
        x: step
        y: loss
  evaluate:
    foreach:
      forest: {format: json}
      linear: {format: yaml}
      tree: {format: toml}
    do:
      cmd: sh ../scripts/evaluate.sh \${key} \${item.format}
      deps:
      - ../scripts/evaluate.sh
      - ../work/test.csv
      - out/\${key}-north.model
      metrics:
      - evaluation/\${key}.\${item.format}:
          cache: false
      plots:
      - evaluation/\${key}-classes.json:
          template: confusion
          x: actual
          y: predicted
      - evaluation/\${key}.svg
  compare:
    cmd: cat out/forest-north.model out/linear-north.model out/tree-north.model | wc -l > compared.txt
    deps:
    - out/forest-north.model
    - out/linear-north.model
    - out/tree-north.model
    metrics:
    - compared.txt
    plots:
    - compared.tsv:
        cache: false
  report:
    cmd: sh ../scripts/report.sh
    deps:
    - ../scripts/report.sh
    - compared.txt
    params:
    - ../params.yaml:
      - report
    - ../config/train.toml:
    outs:
    - report.md
  publish:
    foreach: [paris, lima, 3, true, 2.5]
    do:
      cmd: cp report.md published-\${item}.md
      deps:
      - report.md
      outs:
      - published-\${item}.md
`.replace('compared.txt\n    deps', "compared.txt; printf 'x\\ty\\n1\\t2\\n' > compared.tsv\n    deps")

const PARAMS = `ingest:
  rows: 12  # of each region
cleaning:
${REGIONS.map((region, at) => `  ${region}: {drop: k${at % 4}}\n`).join('')}split:
  ratio: 0.75
  seed: 7
report:
  title: first
  sections: [intro, results]
  draft: true
  note:
`

const FEATURES = `{
  "regions": ${JSON.stringify(REGIONS)},
  "kinds": ["mean", "max", "min"],
  "windows": [1, 7, 30, 90],
  "threshold": 0.5
}
`.replaceAll('","', '", "')

const TRAIN = `title = "how to train"
steps = 4

[forest]
lr = 0.01
depth = 2

[linear]
lr = 0.1

[tree]
lr = 1e-3
`

const SETTINGS = `"""Settings of training."""
import os

EPOCHS = 3
HOME = os.environ.get("HOME")


class Train:
    momentum = 0.9
    layers = [8, 4]
`

const SCRIPTS = {
  'ingest.sh': 'set -e\nmkdir -p work/ingested\nhead -n "$2" "raw/$1.csv" > "work/ingested/$1.csv"\n',
  'split.sh':
    'set -e\necho "$@" > work/test.csv\nhead -n 3 work/merged/first.csv >> work/test.csv\ncat work/merged/*.csv > work/train.csv\n',
  'feature.sh': 'set -e\nmkdir -p out\n{ echo "$1 of $2 above $3"; head -n "$2" ../work/train.csv; } > "out/$1-$2.txt"\n',
  'train.sh': `set -e
mkdir -p out metrics plots
lr=$(sed -n "/\\[$1\\]/,/lr/s/lr = //p" ../config/train.toml)
rows=$(wc -l < "../work/clean/$2.csv" | tr -d ' ')
cat ../features/selected.txt "../work/clean/$2.csv" > "out/$1-$2.model"
echo "lr $lr" >> "out/$1-$2.model"
echo "{\\"loss\\": $lr, \\"rows\\": $rows, \\"by\\": {\\"region\\": \\"$2\\", \\"done\\": true}}" > "metrics/$1-$2.json"
printf 'step,loss\\n1,%s\\n2,0.5\\n3,0.25\\n' "$lr" > "plots/$1-$2.csv"
`,
  'evaluate.sh': `set -e
mkdir -p evaluation
lines=$(wc -l < "out/$1-north.model" | tr -d ' ')
case $2 in
  json) echo "{\\"accuracy\\": 0.$lines, \\"lines\\": $lines}" > "evaluation/$1.json" ;;
  yaml) printf 'accuracy: 0.%s\\nlines: %s\\n' "$lines" "$lines" > "evaluation/$1.yaml" ;;
  toml) printf 'accuracy = 0.%s\\n[size]\\nlines = %s\\n' "$lines" "$lines" > "evaluation/$1.toml" ;;
esac
echo '[{"actual": "a", "predicted": "a"}, {"actual": "a", "predicted": "b"}]' > "evaluation/$1-classes.json"
echo "<svg xmlns='http://www.w3.org/2000/svg'><text>$1 $lines</text></svg>" > "evaluation/$1.svg"
`,
  'report.sh': 'set -e\n{ grep title: ../params.yaml; cat compared.txt ../config/train.toml; } > report.md\n',
} as const

/** Every file of Git's in the project's first commit, by its path. */
export const BIG_PROJECT_FILES = {
  '.dvcignore': '# Leftovers of editors\n*.tmp\n/scratch/\n',
  'README.md': '# A project of some size\n',
  'dvc.yaml': ROOT_PIPELINE,
  'features/dvc.yaml': FEATURES_PIPELINE,
  'models/dvc.yaml': MODELS_PIPELINE,
  'params.yaml': PARAMS,
  'config/features.json': FEATURES,
  'config/train.toml': TRAIN,
  'config/settings.py': SETTINGS,
  'extra/counts.yaml': 'images: 12\nfolders:\n  archive: 2\n',
  'extra/history.csv': 'step,loss,accuracy\n1,0.9,0.1\n2,0.5,0.4\n3,0.3,0.6\n',
  'extra/picture.svg': "<svg xmlns='http://www.w3.org/2000/svg'/>\n",
  'scripts/ingest.sh': SCRIPTS['ingest.sh'],
  'scripts/split.sh': SCRIPTS['split.sh'],
  'scripts/feature.sh': SCRIPTS['feature.sh'],
  'scripts/train.sh': SCRIPTS['train.sh'],
  'scripts/evaluate.sh': SCRIPTS['evaluate.sh'],
  'scripts/report.sh': SCRIPTS['report.sh'],
} as const
