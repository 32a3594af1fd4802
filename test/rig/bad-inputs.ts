import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { Workstation } from './project.ts'

/** Something wrong in a repository or on a command line, and how it must end. */
export interface BadInput {
  name: string
  /** Written over the repository. `SERVER` in a text is a server that refuses every token. */
  files?: Record<string, string | Buffer>
  prepare?: (dir: string) => void
  args: readonly string[]
  /** The exit code. */
  code: number
  /** Stock's, where it has a defect that Cairn does not share; the reason is in `better`. */
  stock?: number
  better?: string
  /** The line on stderr that begins with `ERROR: `. */
  says: RegExp
  /** An administrator may write everywhere. */
  notAsRoot?: boolean
}

const stage = (body: string) => `stages:\n  train:\n${body}`
const CONFLICT = '<<<<<<< HEAD\nlr: 1\n=======\nlr: 2\n>>>>>>> other\n'
const DVC_CONFLICT = '<<<<<<< HEAD\nouts:\n=======\nouts: []\n>>>>>>> other\n'
const MD5 = 'd41d8cd98f00b204e9800998ecf8427e'
const tracked = (fields: string) => `outs:\n- md5: ${MD5}\n  size: 0\n  hash: md5\n  ${fields}\n`
const remote = (url: string, more = '') => `[core]\n    remote = r\n['remote "r"']\n    url = ${url}\n${more}`

const STAGE_FILES: readonly BadInput[] = [
  {
    name: 'a .dvc file that is no YAML',
    files: { 'data.txt.dvc': 'outs: [\n' },
    args: ['status'],
    code: 1,
    says: /data\.txt\.dvc/,
  },
  {
    name: 'a .dvc file in conflict',
    files: { 'data.txt.dvc': DVC_CONFLICT },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc.*conflict/,
  },
  {
    name: 'an unknown key in a .dvc file',
    files: { 'data.txt.dvc': tracked('path: data.txt\n  colour: red') },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc.*colour/,
  },
  {
    name: 'an out without a path',
    files: { 'data.txt.dvc': `outs:\n- md5: ${MD5}\n` },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc.*path/,
  },
  {
    name: 'outs that are no list',
    files: { 'data.txt.dvc': 'outs: data.txt\n' },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc.*outs/,
  },
  {
    name: 'a .dvc file that is a list',
    files: { 'data.txt.dvc': '- a\n- b\n' },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc/,
  },
  {
    name: 'a key given twice in a .dvc file',
    files: { 'data.txt.dvc': 'outs: []\nouts: []\n' },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc/,
  },
  {
    name: 'a path that is a number',
    files: { 'data.txt.dvc': `outs:\n- md5: ${MD5}\n  path: 5\n` },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc.*path/,
  },
  {
    name: 'a size that is a text',
    files: { 'data.txt.dvc': `outs:\n- md5: ${MD5}\n  size: big\n  path: data.txt\n` },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc.*size/,
  },
  {
    name: 'a .dvc file in another encoding',
    files: { 'data.txt.dvc': Buffer.from([0x6f, 0x75, 0x74, 0x73, 0x3a, 0x20, 0xff, 0xfe, 0x0a]) },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc/,
  },
  {
    name: 'a NUL byte in a .dvc file',
    files: { 'data.txt.dvc': 'outs:\n- path: "a\0b"\n' },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc/,
  },
  {
    name: 'a tab as indentation',
    files: { 'data.txt.dvc': 'outs:\n\t- path: a\n' },
    args: ['checkout'],
    code: 255,
    says: /data\.txt\.dvc/,
  },
  {
    name: 'a YAML bomb',
    files: {
      'dvc.yaml':
        'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\nstages: *d\n',
    },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml/,
  },
]

const PIPELINES: readonly BadInput[] = [
  { name: 'a dvc.yaml that is no YAML', files: { 'dvc.yaml': 'stages: {\n' }, args: ['repro'], code: 255, says: /dvc\.yaml/ },
  { name: 'a dvc.yaml in conflict', files: { 'dvc.yaml': CONFLICT }, args: ['repro'], code: 255, says: /dvc\.yaml.*conflict/ },
  {
    name: 'stages that are a list',
    files: { 'dvc.yaml': 'stages:\n- train\n' },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml.*stages/,
  },
  {
    name: 'a command that is a number',
    files: { 'dvc.yaml': stage('    cmd: 5\n') },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml.*cmd.*line 3/,
  },
  {
    name: 'a stage without a command',
    files: { 'dvc.yaml': stage('    deps:\n    - data.txt\n') },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml.*(cmd|train)/,
  },
  {
    name: 'an unknown key in a stage',
    files: { 'dvc.yaml': stage('    cmd: true x\n    colour: red\n') },
    args: ['status'],
    code: 1,
    says: /dvc\.yaml.*colour/,
  },
  {
    name: 'an unknown key at the top',
    files: { 'dvc.yaml': 'colour: red\n' },
    args: ['stage', 'list'],
    code: 255,
    says: /dvc\.yaml.*colour/,
  },
  {
    name: 'a stage given twice',
    files: { 'dvc.yaml': stage('    cmd: echo a\n  train:\n    cmd: echo b\n') },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml/,
  },
  {
    name: 'an unknown flag of an output',
    files: { 'dvc.yaml': stage('    cmd: echo a\n    outs:\n    - o:\n        cached: true\n') },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml.*cached/,
  },
  {
    name: 'a circle of stages',
    files: {
      'dvc.yaml':
        'stages:\n  a:\n    cmd: echo\n    deps: [y]\n    outs: [x]\n  b:\n    cmd: echo\n    deps: [x]\n    outs: [y]\n',
    },
    args: ['repro'],
    code: 255,
    says: /a, b/,
  },
  {
    name: 'an output of two stages',
    files: { 'dvc.yaml': 'stages:\n  a:\n    cmd: echo\n    outs: [x]\n  b:\n    cmd: echo\n    outs: [x]\n' },
    args: ['repro'],
    code: 255,
    says: /'x' is specified in/,
  },
  {
    name: 'an output inside another',
    files: { 'dvc.yaml': 'stages:\n  a:\n    cmd: echo\n    outs: [x]\n  b:\n    cmd: echo\n    outs: [x/y]\n' },
    args: ['repro'],
    code: 255,
    says: /overlap|output paths/i,
  },
  {
    name: 'an output that is its own dependency',
    files: { 'dvc.yaml': stage('    cmd: echo\n    deps: [x]\n    outs: [x]\n') },
    args: ['repro'],
    code: 255,
    says: /x/,
  },
  {
    name: 'an output outside of the repository',
    files: { 'dvc.yaml': stage('    cmd: echo\n    outs: [../x]\n') },
    args: ['repro'],
    code: 255,
    says: /outside/,
  },
  {
    name: 'an output with an absolute path',
    files: { 'dvc.yaml': stage('    cmd: echo\n    outs: [/tmp/cairn-nowhere/x]\n') },
    args: ['repro'],
    code: 255,
    says: /outside/,
  },
  {
    name: 'a working folder that is not there',
    files: { 'dvc.yaml': stage('    cmd: echo\n    wdir: nowhere\n') },
    args: ['repro'],
    code: 255,
    says: /nowhere/,
  },
  {
    name: 'a dependency that is not there',
    files: { 'dvc.yaml': stage('    cmd: echo\n    deps: [nothing]\n') },
    args: ['repro'],
    code: 255,
    says: /nothing/,
  },
  {
    name: 'a parameter that is not there',
    files: { 'dvc.yaml': stage('    cmd: echo\n    params: [momentum]\n') },
    args: ['repro'],
    code: 255,
    says: /momentum.*params\.yaml/,
  },
  {
    name: 'a value that is not there',
    files: { 'dvc.yaml': stage('    cmd: echo ${momentum}\n') },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml.*momentum/,
  },
  {
    name: 'a foreach over a truth value',
    files: { 'dvc.yaml': 'stages:\n  train:\n    foreach: true\n    do:\n      cmd: echo\n' },
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml.*foreach/,
  },
  {
    name: 'an unclosed placeholder',
    files: { 'dvc.yaml': stage('    cmd: echo ${lr\n') },
    args: ['repro'],
    code: 255,
    says: /train|dvc\.yaml/,
  },
  {
    name: 'a command that fails',
    files: { 'dvc.yaml': stage('    cmd: exit 3\n') },
    args: ['repro'],
    code: 255,
    says: /failed to run: exit 3/,
  },
  {
    name: 'a command that does not make its output',
    files: { 'dvc.yaml': stage('    cmd: echo\n    outs: [never]\n') },
    args: ['repro'],
    code: 255,
    says: /never/,
  },
  { name: 'a dvc.lock that is no YAML', files: { 'dvc.lock': 'schema: [\n' }, args: ['repro'], code: 255, says: /dvc\.lock/ },
  { name: 'a dvc.lock in conflict', files: { 'dvc.lock': CONFLICT }, args: ['repro'], code: 255, says: /dvc\.lock.*conflict/ },
  {
    name: 'a dvc.lock of an unknown version',
    files: { 'dvc.lock': "schema: '9.0'\nstages: {}\n" },
    args: ['repro'],
    code: 255,
    says: /dvc\.lock.*schema/,
  },
  {
    name: 'a dvc.lock with a wrong type',
    files: { 'dvc.lock': "schema: '2.0'\nstages:\n  train: 5\n" },
    args: ['repro'],
    code: 255,
    says: /dvc\.lock.*train/,
  },
  { name: 'params in conflict', files: { 'params.yaml': CONFLICT }, args: ['repro'], code: 255, says: /params\.yaml/ },
  { name: 'params that are a list', files: { 'params.yaml': '- 1\n- 2\n' }, args: ['repro'], code: 255, says: /params/ },
  {
    name: 'params that are no JSON',
    files: { 'dvc.yaml': stage('    cmd: echo\n    params:\n    - p.json:\n      - lr\n'), 'p.json': '{"lr": 1,' },
    args: ['repro'],
    code: 255,
    says: /p\.json/,
  },
  {
    name: 'params that are no TOML',
    files: { 'dvc.yaml': stage('    cmd: echo\n    params:\n    - p.toml:\n      - lr\n'), 'p.toml': 'lr = = 1\n' },
    args: ['repro'],
    code: 255,
    says: /p\.toml/,
  },
  {
    name: 'params that are no Python',
    files: { 'dvc.yaml': stage('    cmd: echo\n    params:\n    - p.py:\n      - LR\n'), 'p.py': 'LR = (1,\n' },
    args: ['repro'],
    code: 255,
    says: /p\.py/,
  },
  {
    name: 'no dvc.yaml',
    prepare: (dir) => rmSync(path.join(dir, 'dvc.yaml')),
    args: ['repro'],
    code: 255,
    says: /dvc\.yaml' does not exist/,
  },
  { name: 'an unknown stage', args: ['repro', 'nothing'], code: 255, says: /'nothing'/ },
  { name: 'a stage that exists', args: ['stage', 'add', '-n', 'train', 'echo'], code: 255, says: /'train' already exists/ },
  { name: 'a stage name with a slash', args: ['stage', 'add', '-n', 'a/b', 'echo'], code: 255, says: /a\/b|[Ss]tage name/ },
  {
    name: 'a stage without a command on the command line',
    args: ['stage', 'add', '-n', 'x'],
    code: 255,
    says: /command is not specified/,
  },
  {
    name: 'a path given twice',
    args: ['stage', 'add', '-n', 'x', '-d', 'a', '-d', 'a', 'echo'],
    code: 255,
    says: /specified more than once/,
  },
  {
    name: 'an output that another stage has',
    args: ['stage', 'add', '-n', 'x', '-o', 'out.txt', 'echo'],
    code: 255,
    says: /output 'out\.txt' is .*specified in/,
  },
]

const WORKSPACE: readonly BadInput[] = [
  { name: 'a file that is not there', args: ['add', 'nothing'], code: 1, says: /'nothing' does not exist/ },
  { name: 'a file that Git tracks', args: ['add', 'params.yaml'], code: 1, says: /params\.yaml' is already tracked by SCM/ },
  { name: 'a .dvc file to add', args: ['add', 'data.txt.dvc'], code: 1, says: /data\.txt\.dvc' cannot be an output/ },
  {
    name: 'a folder with a tracked file in it',
    files: { 'more/x': 'x', 'more/x.dvc': tracked('path: x') },
    args: ['add', 'more'],
    code: 1,
    says: /Cannot add 'more'.*overlapping/,
  },
  { name: 'an output of a stage to add', args: ['add', 'out.txt'], code: 1, says: /cannot update 'out\.txt'.*stage: 'train'/ },
  { name: 'a file outside of the repository', args: ['add', '/etc/hostname'], code: 1, says: /hostname/ },
  {
    name: 'a folder that leads to itself',
    prepare: (dir) => symlinkSync('loop', path.join(dir, 'loop')),
    args: ['add', 'loop'],
    code: 255,
    says: /loop/,
  },
  {
    name: 'a file behind a symbolic link to a folder',
    prepare: (dir) => symlinkSync('dir', path.join(dir, 'link')),
    args: ['add', 'link/a'],
    code: 1,
    says: /symlinked directories/,
  },
  {
    name: 'an object that the cache lacks',
    prepare: (dir) => removeAll(dir, '.dvc/cache', 'data.txt'),
    args: ['checkout', 'data.txt'],
    code: 255,
    says: /Checkout failed/,
  },
  {
    name: 'an object that was damaged',
    prepare: damage,
    args: ['checkout', 'data.txt'],
    code: 255,
    stock: 0,
    better: 'stock copies the damaged bytes',
    says: /data\.txt|damaged|Checkout failed/,
  },
  { name: 'an unknown target of checkout', args: ['checkout', 'nothing'], code: 255, says: /'nothing'/ },
  { name: 'an unknown target of status', args: ['status', 'nothing'], code: 1, says: /'nothing'/ },
  { name: 'an unknown target of commit', args: ['commit', 'nothing'], code: 1, says: /'nothing'/ },
  { name: 'an unknown target of remove', args: ['remove', 'nothing'], code: 1, says: /'nothing'/ },
  { name: 'an unknown target of freeze', args: ['freeze', 'nothing'], code: 1, says: /'nothing'/ },
  { name: 'an unknown target of unprotect', args: ['unprotect', 'nothing'], code: 255, says: /'nothing'/ },
  {
    name: 'a changed stage without --force',
    files: { 'params.yaml': 'lr: 9\n' },
    args: ['commit', 'train'],
    code: 1,
    says: /unable to commit changed stage: 'train'/,
  },
  { name: 'an unknown revision in diff', args: ['diff', 'nothing'], code: 1, says: /unknown Git revision 'nothing'/ },
  {
    name: 'a cache below a file',
    files: { '.dvc/config': '[cache]\n    dir = ../params.yaml/cache\n', 'new.txt': 'x' },
    args: ['add', 'new.txt'],
    code: 255,
    says: /params\.yaml/,
  },
  {
    name: 'a cache where nothing can be written',
    files: { '.dvc/config': '[cache]\n    dir = /sys/cache\n', 'new.txt': 'x' },
    args: ['add', 'new.txt'],
    code: 255,
    says: /\/sys\/cache/,
  },
  {
    name: 'a cache on a file system that takes no folders',
    files: { '.dvc/config': '[cache]\n    dir = /proc/nowhere\n', 'new.txt': 'x' },
    args: ['add', 'new.txt'],
    code: 1,
    says: /\/proc\/nowhere/,
  },
  {
    name: 'a folder that is read-only',
    files: { 'locked/x': 'x' },
    prepare: (dir) => chmodSync(path.join(dir, 'locked'), 0o555),
    args: ['add', 'locked/x'],
    code: 255,
    says: /locked/,
    notAsRoot: true,
  },
  {
    name: 'a folder in place of a .dvc file',
    prepare: (dir) => mkdirSync(path.join(dir, 'x.dvc')),
    files: { x: 'x' },
    args: ['add', 'x'],
    code: 255,
    stock: 1,
    better: 'a failure of the system is 255 everywhere',
    says: /x\.dvc/,
  },
  { name: 'a damaged lock of paths', files: { '.dvc/tmp/rwlock': '{' }, args: ['repro', '-f'], code: 255, says: /rwlock/ },
]

const SETTINGS: readonly BadInput[] = [
  { name: 'a config that is cut short', files: { '.dvc/config': '[core' }, args: ['status'], code: 251, says: /config.*line 1/ },
  { name: 'a config in conflict', files: { '.dvc/config': CONFLICT }, args: ['status'], code: 251, says: /config.*line 1/ },
  {
    name: 'an option given twice',
    files: { '.dvc/config': '[core]\n    remote = a\n    remote = b\n' },
    args: ['status'],
    code: 251,
    says: /config.*line 3/,
  },
  {
    name: 'an unknown section',
    args: ['config', 'colour.red', '1'],
    code: 251,
    says: /extra keys not allowed @ data\['colour'\]/,
  },
  {
    name: 'an unknown option',
    args: ['config', 'core.colour', '1'],
    code: 251,
    says: /extra keys not allowed @ data\['core'\]\['colour'\]/,
  },
  { name: 'no truth value', args: ['config', 'core.autostage', 'maybe'], code: 251, says: /expected true or false/ },
  { name: 'no number', args: ['config', 'core.checksum_jobs', 'many'], code: 251, says: /checksum_jobs/ },
  { name: 'a negative number', args: ['config', 'core.checksum_jobs', '--', '-1'], code: 251, says: /checksum_jobs/ },
  {
    name: 'an unknown link type',
    files: { '.dvc/config': '[cache]\n    type = magic\n' },
    args: ['checkout'],
    code: 251,
    says: /Unsupported cache type\(s\): magic/,
  },
  { name: 'a section that is not set', args: ['config', '-u', 'exp.auto_push'], code: 251, says: /'exp'/ },
  { name: 'an option that is not set', args: ['config', '-u', 'core.remote'], code: 251, says: /'(core|remote)'/ },
  {
    name: 'an option that is not set at its level',
    args: ['config', '--local', 'core.remote'],
    code: 251,
    says: /'(core|remote)'/,
  },
  { name: 'a name without a section', args: ['config', 'colour'], code: 254, says: /argument name/ },
  { name: 'two levels', args: ['config', '--local', '--global', 'core.remote'], code: 254, says: /not allowed with argument/ },
  { name: 'no name', args: ['config'], code: 1, says: /name argument is required/ },
  { name: 'a name with --list', args: ['config', '-l', 'core.remote'], code: 254, stock: 1, says: /-l\/--list/ },
  {
    name: 'a remote that exists',
    files: { '.dvc/config': remote('/srv/r') },
    args: ['remote', 'add', 'r', '/srv/s'],
    code: 251,
    says: /remote 'r' already exists/,
  },
  { name: 'an unknown scheme', args: ['remote', 'add', 'r', 'foo://x'], code: 251, says: /Unsupported URL type foo:\/\// },
  {
    name: 'an unknown remote to remove',
    args: ['remote', 'remove', 'nothing'],
    code: 251,
    says: /remote 'nothing' doesn't exist/,
  },
  {
    name: 'an unknown remote to change',
    args: ['remote', 'modify', 'nothing', 'url', 'x'],
    code: 251,
    says: /remote 'nothing' doesn't exist/,
  },
  {
    name: 'an unknown option of a remote',
    files: { '.dvc/config': remote('/srv/r') },
    args: ['remote', 'modify', 'r', 'colour', 'x'],
    code: 251,
    says: /extra keys not allowed.*'colour'/,
  },
  {
    name: 'an unknown remote as the default',
    args: ['remote', 'default', 'nothing'],
    code: 251,
    says: /default remote must be present/,
  },
  {
    name: 'a remote renamed to one that exists',
    files: { '.dvc/config': `${remote('/srv/r')}['remote "s"']\n    url = /srv/s\n` },
    args: ['remote', 'rename', 'r', 's'],
    code: 251,
    says: /'s'/,
  },
]

const REMOTES: readonly BadInput[] = [
  { name: 'no remote', args: ['push'], code: 1, says: /failed to push.*no remote specified/ },
  { name: 'an unknown remote', args: ['pull', '-r', 'nothing'], code: 1, says: /remote 'nothing' doesn't exist/ },
  {
    name: 'an unknown default remote',
    files: { '.dvc/config': '[core]\n    remote = nothing\n' },
    args: ['push'],
    code: 1,
    says: /nothing/,
  },
  {
    name: 'a remote without a url',
    files: { '.dvc/config': `[core]\n    remote = r\n['remote "r"']\n    jobs = 2\n` },
    args: ['push'],
    code: 251,
    says: /expected 'url'/,
  },
  {
    name: 'a remote at an unknown scheme',
    files: { '.dvc/config': remote('foo://x') },
    args: ['push'],
    code: 251,
    says: /foo:\/\//,
  },
  {
    name: 'a remote that leads back to itself',
    files: { '.dvc/config': remote('remote://r/x') },
    args: ['push'],
    code: 251,
    stock: 255,
    better: 'a wrong configuration is 251',
    says: /leads back to itself/,
  },
  { name: 'a url that is none', files: { '.dvc/config': remote('http://') }, args: ['push'], code: 1, says: /http:\/\// },
  {
    name: 'a server that is not there',
    files: { '.dvc/config': remote('http://127.0.0.1:1/x') },
    args: ['push'],
    code: 1,
    says: /127\.0\.0\.1:1/,
  },
  {
    name: 'a server that refuses the token',
    files: { '.dvc/config': remote('SERVER/x', '    auth = basic\n    user = ada\n    password = wrong\n') },
    args: ['push'],
    code: 1,
    says: /401|token|password|refuse/i,
  },
  {
    name: 'an unknown target of push',
    files: { '.dvc/config': remote('../../store') },
    args: ['push', 'nothing'],
    code: 1,
    says: /failed to push.*'nothing'/,
  },
  {
    name: 'an unknown target of pull',
    files: { '.dvc/config': remote('../../store') },
    args: ['pull', 'nothing'],
    code: 1,
    says: /failed to pull.*'nothing'/,
  },
  {
    name: 'an unknown target of fetch',
    files: { '.dvc/config': remote('../../store') },
    args: ['fetch', 'nothing'],
    code: 1,
    says: /failed to fetch.*'nothing'/,
  },
  {
    name: 'what neither the cache nor the remote has',
    files: { '.dvc/config': remote('../../store') },
    prepare: (dir) => removeAll(dir, '.dvc/cache', 'data.txt'),
    args: ['pull', 'data.txt'],
    code: 1,
    says: /failed to pull|not|missing/,
  },
  {
    name: 'a number of jobs that is none',
    files: { '.dvc/config': remote('../../store') },
    args: ['push', '-j', 'many'],
    code: 254,
    says: /-j/,
  },
]

const COMMAND_LINE: readonly BadInput[] = [
  { name: 'an unknown command', args: ['colour'], code: 254, says: /'colour'/ },
  { name: 'an unknown subcommand', args: ['remote', 'colour'], code: 254, says: /colour/ },
  { name: 'a repository that exists', args: ['init'], code: 1, says: /'\.dvc' exists/ },
  {
    name: 'no Git for init',
    prepare: (dir) => removeAll(dir, '.dvc', '.git'),
    args: ['init'],
    code: 1,
    says: /not tracked by any supported SCM/,
  },
  {
    name: 'no Git for diff',
    files: { '.dvc/config': '[core]\n    no_scm = true\n' },
    args: ['diff'],
    code: 1,
    says: /Git|SCM/,
  },
  { name: '--no-scm with --subdir', args: ['init', '--no-scm', '--subdir'], code: 255, says: /Cannot initialize repo with/ },
]

export const BAD_INPUTS: readonly BadInput[] = [
  ...STAGE_FILES,
  ...PIPELINES,
  ...WORKSPACE,
  ...SETTINGS,
  ...REMOTES,
  ...COMMAND_LINE,
]

const isRoot = process.geteuid?.() === 0

/** Those that this user can try, by name. */
export const TRIED_INPUTS = BAD_INPUTS.filter((input) => !(input.notAsRoot === true && isRoot)).map(
  (input) => [input.name, input] as const,
)

function removeAll(dir: string, ...names: readonly string[]): void {
  for (const name of names) rmSync(path.join(dir, name), { recursive: true })
}

function damage(dir: string): void {
  const [, prefix = '', rest = ''] = /md5: (..)(\S+)/.exec(readFileSync(path.join(dir, 'data.txt.dvc'), 'utf8')) ?? []
  const file = path.join(dir, '.dvc/cache/files/md5', prefix, rest)
  chmodSync(file, 0o644)
  writeFileSync(file, 'other bytes')
  rmSync(path.join(dir, 'data.txt'))
}

/** Makes the sound repository that every bad input starts from; one stage, one file, one folder, committed. */
export async function soundRepository(station: Workstation): Promise<void> {
  const write = (file: string, text: string) => writeFileSync(path.join(station.dir, file), text)
  station.git('init', '-q')
  await station.cairn('init', '-q')
  mkdirSync(path.join(station.dir, 'dir'))
  write('data.txt', 'data\n')
  write('dir/a', 'a\n')
  write('dir/b', 'b\n')
  write('params.yaml', 'lr: 1\n')
  await station.cairn('add', '-q', 'data.txt', 'dir')
  await station.cairn('stage', 'add', '-q', '-n', 'train', '-d', 'data.txt', '-p', 'lr', '-o', 'out.txt', 'cp data.txt out.txt')
  await station.cairn('repro', '-q')
  station.git('add', '.')
  station.git('commit', '-qm', 'sound')
}

/** A copy of the sound repository with the bad input in it. `server` takes the place of SERVER. */
export function repositoryWith(input: BadInput, station: Workstation, server: string): string {
  const dir = path.join(mkdtempSync(path.join(station.home, 'bad-')), 'project')
  cpSync(station.dir, dir, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
  for (const [file, content] of Object.entries(input.files ?? {})) {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true })
    writeFileSync(path.join(dir, file), typeof content === 'string' ? content.replaceAll('SERVER', server) : content)
  }
  input.prepare?.(dir)
  return dir
}

/** What of `before` is nowhere in `after` any more; a damaged object that was moved aside is still there. */
export function lostFrom(before: Record<string, string>, after: Record<string, string>): string[] {
  const here = new Set(Object.values(after).map(bytesOf))
  return Object.keys(before).filter((file) => !here.has(bytesOf(before[file] ?? '')))
}

const bytesOf = (entry: string) => entry.slice(entry.indexOf(' '))

/** Every path with its mode and what it holds, without Git's folder and what may be deleted at any time. */
export function contentOf(dir: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(path.join(dir, below)).toSorted()) {
    const at = path.posix.join(below, name)
    const file = path.join(dir, at)
    const stat = lstatSync(file)
    if (at === '.git' || at === '.dvc/tmp') continue
    if (stat.isDirectory()) Object.assign(found, contentOf(dir, at))
    else
      found[at] =
        `${(stat.mode & 0o777).toString(8)} ${stat.isSymbolicLink() ? readlinkSync(file) : readFileSync(file, 'latin1')}`
  }
  return found
}

/** A server that lets nobody in. */
export async function refusingServer(): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('no')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}
