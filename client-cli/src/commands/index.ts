import type { Command } from '../command.ts'

export interface CommandEntry {
  name: string
  summary: string
  /** Loaded only when the command is called, so that starting costs the same however many there are. */
  load: () => Promise<Command>
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = []
