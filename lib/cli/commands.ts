// commands.ts: the table of commands. A command's own code is loaded when it is called: `status`
// must not wait for what only `start` needs.

import type { CommandModule } from './command.ts';
import { COMMON_OPTIONS, type OptionName } from './options.ts';

export interface Command {
  /** In the order of the help. */
  readonly options: readonly OptionName[];
  load(): Promise<CommandModule>;
}

const WAITING: readonly OptionName[] = ['timeout', 'wait', 'no-wait'];

export const COMMANDS = {
  start: {
    options: ['config', 'log', 'foreground', ...WAITING, ...COMMON_OPTIONS],
    load: () => import('./start.ts'),
  },
  stop: {
    options: ['mode', ...WAITING, ...COMMON_OPTIONS],
    load: () => import('./stop.ts'),
  },
  reload: {
    options: COMMON_OPTIONS,
    load: () => import('./reload.ts'),
  },
  status: {
    options: COMMON_OPTIONS,
    load: () => import('./status.ts'),
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;

export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}
