// commands.ts: the table of commands. A command's own code is loaded when it is called: `status`
// must not wait for what only `start` needs.

import type { CommandModule } from './command.ts';
import { COMMON_OPTIONS, type OptionName } from './options.ts';

export interface Command {
  /** In the order of the help. */
  readonly options: readonly OptionName[];
  /** What the words behind it are called in the help, and how many there must be. Default: none. */
  readonly operands?: { readonly usage: string; readonly least: number; readonly most: number };
  /** Whatever stands behind `--` is a program and its arguments. */
  readonly takesProgram?: boolean;
  load(): Promise<CommandModule>;
}

const WAITING: readonly OptionName[] = ['timeout', 'wait', 'no-wait'];

const LAUNCHING: readonly OptionName[] = [
  'name',
  'type',
  'function',
  'arg',
  'flag',
  'restart-time',
  'database',
  'user',
];

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
  ps: {
    options: COMMON_OPTIONS,
    load: () => import('./ps.ts'),
  },
  launch: {
    options: [...LAUNCHING, ...WAITING, ...COMMON_OPTIONS],
    operands: { usage: '{MODULE | -- PROGRAM [ARG]...}', least: 0, most: 1 },
    takesProgram: true,
    load: () => import('./launch.ts'),
  },
  terminate: {
    options: [...WAITING, ...COMMON_OPTIONS],
    operands: { usage: 'WORKER', least: 1, most: 1 },
    load: () => import('./terminate.ts'),
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;

export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}
