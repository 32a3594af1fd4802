import type { CommandEntry } from '../command.ts'

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'init', summary: 'Make a repository in this folder.', load: async () => (await import('./init.ts')).command },
  { name: 'config', summary: 'Print or change an option.', load: async () => (await import('./config.ts')).command },
  {
    name: 'add',
    summary: 'Keep files or folders in the cache, and a .dvc file for Git beside each.',
    load: async () => (await import('./add.ts')).command,
  },
  {
    name: 'checkout',
    summary: 'Make the workspace hold what the stage files say, out of the cache.',
    load: async () => (await import('./checkout.ts')).command,
  },
  {
    name: 'commit',
    summary: 'Take up what stands in the workspace, into the cache and the stage files.',
    load: async () => (await import('./commit.ts')).command,
  },
  {
    name: 'remove',
    summary: 'Stop tracking what a stage or .dvc file tracks.',
    load: async () => (await import('./remove.ts')).command,
  },
  {
    name: 'unprotect',
    summary: 'Make tracked files writable, as copies that the cache does not share.',
    load: async () => (await import('./unprotect.ts')).command,
  },
  {
    name: 'move',
    summary: 'Rename tracked data, with its .dvc file and .gitignore entry.',
    load: async () => (await import('./move.ts')).command,
  },
  {
    name: 'check-ignore',
    summary: 'Print which paths .dvcignore hides, and by which rule.',
    load: async () => (await import('./check-ignore.ts')).command,
  },
  {
    name: 'run',
    summary: 'Run a command as a stage: record what it reads and makes in a stage file.',
    load: async () => (await import('./run.ts')).command,
  },
  {
    name: 'repro',
    summary: 'Run the stages whose deps, params, outs or command changed, and what depends on them.',
    load: async () => (await import('./repro.ts')).command,
  },
  {
    name: 'status',
    summary: 'Print what changed since the last run; with -c, what the remote lacks.',
    load: async () => (await import('./status.ts')).command,
  },
  {
    name: 'data status',
    summary: 'Print what changed between the last commit, the stage files and the workspace.',
    load: async () => (await import('./data-status.ts')).command,
  },
  {
    name: 'diff',
    summary: 'Print which files were added, changed, renamed or deleted between two revisions.',
    load: async () => (await import('./diff.ts')).command,
  },
  {
    name: 'stage add',
    summary: "Write a stage into this folder's dvc.yaml.",
    load: async () => (await import('./stage-add.ts')).command,
  },
  {
    name: 'stage list',
    summary: 'Print the stages and what they are for.',
    load: async () => (await import('./stage-list.ts')).command,
  },
  {
    name: 'pipeline show',
    summary: 'Print the stages that a target is made by, in the order in which they run.',
    load: async () => (await import('./pipeline-show.ts')).command,
  },
  {
    name: 'pipeline list',
    summary: 'Print the stages of every pipeline, in the order in which they run.',
    load: async () => (await import('./pipeline-list.ts')).command,
  },
  {
    name: 'dag',
    summary: 'Draw how the stages depend on each other.',
    load: async () => (await import('./dag.ts')).command,
  },
  {
    name: 'freeze',
    summary: 'Keep stages from being run, whatever changes before them.',
    load: async () => (await import('./freeze.ts')).freeze,
  },
  {
    name: 'unfreeze',
    summary: 'Let frozen stages run again.',
    load: async () => (await import('./freeze.ts')).unfreeze,
  },
  {
    name: 'lock',
    summary: 'The name of freeze in 2019.',
    load: async () => (await import('./freeze.ts')).lock,
  },
  {
    name: 'unlock',
    summary: 'The name of unfreeze in 2019.',
    load: async () => (await import('./freeze.ts')).unlock,
  },
  {
    name: 'push',
    summary: 'Send what the remote lacks.',
    load: async () => (await import('./push.ts')).command,
  },
  {
    name: 'fetch',
    summary: 'Bring what the cache lacks from the remote.',
    load: async () => (await import('./fetch.ts')).command,
  },
  {
    name: 'pull',
    summary: 'Bring what is lacking from the remote, into the cache and the workspace.',
    load: async () => (await import('./pull.ts')).command,
  },
  {
    name: 'import',
    summary: 'Take a file or folder out of another repository, and remember where it came from.',
    load: async () => (await import('./import.ts')).command,
  },
  {
    name: 'import-url',
    summary: 'Take a file or folder from a url or a path, and remember where it came from.',
    load: async () => (await import('./import-url.ts')).command,
  },
  {
    name: 'update',
    summary: 'Bring what imports have become where they came from.',
    load: async () => (await import('./update.ts')).command,
  },
  {
    name: 'get',
    summary: 'Bring a file or folder out of another repository, and nothing else.',
    load: async () => (await import('./get.ts')).command,
  },
  {
    name: 'artifacts get',
    summary: 'Bring a version of an artifact out of another repository.',
    load: async () => (await import('./artifacts-get.ts')).command,
  },
  {
    name: 'get-url',
    summary: 'Bring a file or folder from a url or a path, and nothing else.',
    load: async () => (await import('./get-url.ts')).command,
  },
  {
    name: 'list',
    summary: 'Print what a repository holds, kept by Git and by DVC.',
    load: async () => (await import('./list.ts')).command,
  },
  {
    name: 'ls',
    summary: 'The same as list.',
    load: async () => ({ ...(await import('./list.ts')).command, name: 'ls' }),
  },
  {
    name: 'list-url',
    summary: 'Print what a url or a path holds. Needs no repository here.',
    load: async () => (await import('./list-url.ts')).command,
  },
  {
    name: 'du',
    summary: 'Print how large what a repository holds is.',
    load: async () => (await import('./du.ts')).command,
  },
  {
    name: 'gc',
    summary: 'Delete from the cache what nothing uses that you choose to keep.',
    load: async () => (await import('./gc.ts')).command,
  },
  {
    name: 'install',
    summary: 'Let Git check out and push what is tracked, and merge tracked folders.',
    load: async () => (await import('./install.ts')).command,
  },
  {
    name: 'git-hook pre-commit',
    summary: "Before a commit: 'cairn status'.",
    load: async () => (await import('./git-hook.ts')).preCommit,
  },
  {
    name: 'git-hook pre-push',
    summary: "Before a push: 'cairn push'.",
    load: async () => (await import('./git-hook.ts')).prePush,
  },
  {
    name: 'git-hook post-checkout',
    summary: "After a checkout: 'cairn checkout'.",
    load: async () => (await import('./git-hook.ts')).postCheckout,
  },
  {
    name: 'git-hook merge-driver',
    summary: "Merges two versions of a .dvc file: Git's merge driver.",
    load: async () => (await import('./git-hook.ts')).mergeDriver,
  },
  {
    name: 'remote add',
    summary: 'Add a remote: where objects are pushed to.',
    load: async () => (await import('./remote-add.ts')).command,
  },
  {
    name: 'remote list',
    summary: 'Print the remotes and their urls.',
    load: async () => (await import('./remote-list.ts')).command,
  },
  {
    name: 'remote modify',
    summary: "Set or unset a remote's option.",
    load: async () => (await import('./remote-modify.ts')).command,
  },
  {
    name: 'remote remove',
    summary: 'Forget a remote. What is stored there stays.',
    load: async () => (await import('./remote-remove.ts')).command,
  },
  {
    name: 'remote rename',
    summary: 'Call a remote by another name.',
    load: async () => (await import('./remote-rename.ts')).command,
  },
  {
    name: 'remote default',
    summary: 'Print or set the default remote.',
    load: async () => (await import('./remote-default.ts')).command,
  },
  {
    name: 'login',
    summary: 'Keep a token for a server.',
    load: async () => (await import('./login.ts')).command,
  },
  {
    name: 'logout',
    summary: "Forget a server's token.",
    load: async () => (await import('./logout.ts')).command,
  },
  {
    name: 'token create',
    summary: 'Make a token; its secret is printed once.',
    load: async () => (await import('./token-create.ts')).command,
  },
  {
    name: 'token list',
    summary: "Print the server's tokens, without their secrets.",
    load: async () => (await import('./token-list.ts')).command,
  },
  {
    name: 'token revoke',
    summary: 'End a token at once.',
    load: async () => (await import('./token-revoke.ts')).command,
  },
  {
    name: 'project create',
    summary: 'Make a project on the server.',
    load: async () => (await import('./project-create.ts')).command,
  },
  {
    name: 'project list',
    summary: 'Print the projects that the token reaches.',
    load: async () => (await import('./project-list.ts')).command,
  },
  { name: 'cache dir', summary: 'Print or set where the cache is.', load: async () => (await import('./cache-dir.ts')).command },
  {
    name: 'metrics show',
    summary: 'Print metrics, of the workspace or of many revisions.',
    load: async () => (await import('./metrics-show.ts')).command,
  },
  {
    name: 'metrics diff',
    summary: 'Print what changed in the metrics between two commits, or a commit and the workspace.',
    load: async () => (await import('./metrics-diff.ts')).command,
  },
  {
    name: 'metrics add',
    summary: "Call a stage's output a metric.",
    load: async () => (await import('./metrics-add.ts')).command,
  },
  {
    name: 'metrics modify',
    summary: 'Say how a metric file of a 2019 stage is read.',
    load: async () => (await import('./metrics-modify.ts')).command,
  },
  {
    name: 'metrics remove',
    summary: "Stop calling a stage's output a metric.",
    load: async () => (await import('./metrics-remove.ts')).command,
  },
  {
    name: 'params diff',
    summary: 'Print what changed in the params between two commits, or a commit and the workspace.',
    load: async () => (await import('./params-diff.ts')).command,
  },
  {
    name: 'plots show',
    summary: 'Draw plots of files and of the definitions in dvc.yaml, as a page.',
    load: async () => (await import('./plots-show.ts')).command,
  },
  {
    name: 'plots diff',
    summary: 'Draw plots of several commits over each other, as a page.',
    load: async () => (await import('./plots-diff.ts')).command,
  },
  {
    name: 'plots modify',
    summary: "Say how a stage's output is drawn; the output becomes a plot.",
    load: async () => (await import('./plots-modify.ts')).command,
  },
  {
    name: 'plots templates',
    summary: 'Print the names of the built-in templates of plots, or one of them.',
    load: async () => (await import('./plots-templates.ts')).command,
  },
  {
    name: 'exp run',
    summary: 'Reproduce stages as an experiment: its outcome is a commit aside of every branch.',
    load: async () => (await import('./exp-run.ts')).command,
  },
  {
    name: 'exp save',
    summary: 'Keep the workspace as it stands as an experiment, without running anything.',
    load: async () => (await import('./exp-save.ts')).command,
  },
  {
    name: 'exp show',
    summary: 'Print experiments with their metrics, params and deps.',
    load: async () => (await import('./exp-show.ts')).command,
  },
  {
    name: 'exp list',
    summary: 'Print the names of experiments.',
    load: async () => (await import('./exp-list.ts')).command,
  },
  {
    name: 'exp diff',
    summary: 'Print what changed in metrics and params between two experiments.',
    load: async () => (await import('./exp-diff.ts')).command,
  },
  {
    name: 'exp apply',
    summary: "Bring an experiment's changes into the workspace.",
    load: async () => (await import('./exp-apply.ts')).command,
  },
  {
    name: 'exp branch',
    summary: 'Make a Git branch of an experiment.',
    load: async () => (await import('./exp-branch.ts')).command,
  },
  {
    name: 'exp rename',
    summary: 'Call an experiment by another name.',
    load: async () => (await import('./exp-rename.ts')).command,
  },
  {
    name: 'exp remove',
    summary: 'Forget experiments.',
    load: async () => (await import('./exp-remove.ts')).command,
  },
  {
    name: 'exp push',
    summary: 'Send experiments to a Git remote, and the content of their outputs to the remote.',
    load: async () => (await import('./exp-transfer.ts')).push,
  },
  {
    name: 'exp pull',
    summary: 'Bring experiments from a Git remote, and the content of their outputs into the cache.',
    load: async () => (await import('./exp-transfer.ts')).pull,
  },
  {
    name: 'exp clean',
    summary: 'Take away what interrupted runs of experiments left in .dvc/tmp.',
    load: async () => (await import('./exp-clean.ts')).command,
  },
  {
    name: 'queue start',
    summary: 'Run every queued experiment, each in a copy of the repository.',
    load: async () => (await import('./queue-start.ts')).command,
  },
  {
    name: 'queue status',
    summary: 'Print the experiments that wait to be run.',
    load: async () => (await import('./queue-status.ts')).command,
  },
  {
    name: 'queue remove',
    summary: 'Forget experiments that wait to be run.',
    load: async () => (await import('./queue-remove.ts')).command,
  },
  {
    name: 'migrate',
    summary: "Turn the stage files of 2019 into dvc.yaml and dvc.lock, which today's DVC reads.",
    load: async () => (await import('./migrate.ts')).command,
  },
  {
    name: 'completion',
    summary: "Print a shell's completion script.",
    load: async () => (await import('./completion.ts')).completionOf(COMMANDS),
  },
  {
    name: 'root',
    summary: "Print the repository's root, relative to this folder.",
    load: async () => (await import('./root.ts')).command,
  },
  {
    name: 'version',
    summary: 'Print the version and what Cairn finds around it.',
    load: async () => (await import('./version.ts')).command,
  },
  {
    name: 'doctor',
    summary: 'Print the version, and try what a repository needs: links, remotes, Git, the configuration.',
    load: async () => (await import('./doctor.ts')).command,
  },
]
