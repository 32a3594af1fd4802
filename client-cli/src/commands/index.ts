import type { Command } from '../command.ts'

export interface CommandEntry {
  name: string
  summary: string
  /** Loaded only when the command is called, so that starting costs the same however many there are. */
  load: () => Promise<Command>
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'init', summary: 'Make a repository in this folder.', load: async () => (await import('./init.ts')).command },
  { name: 'config', summary: 'Print or change an option.', load: async () => (await import('./config.ts')).command },
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
  { name: 'cache dir', summary: 'Print or set where the cache is.', load: async () => (await import('./cache-dir.ts')).command },
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
  { name: 'doctor', summary: 'The same as version.', load: async () => (await import('./version.ts')).command },
]
