// command.ts: what a command is to main.ts and what it gets. One file per command, one line per
// command in commands.ts.

import type { StopMode } from './options.ts';
import type { Output } from './output.ts';

/** pg_ctl's, which are the init script's of the Linux Standard Base. */
export const EXIT = {
  ok: 0,
  failed: 1,
  notRunning: 3,
  noDataDirectory: 4,
} as const;

export type ExitStatus = number;

/** The options with their defaults, for whatever command they were given to. */
export interface Settings {
  /** -D, else $BGWORKER_DATA; as it was written. null: neither. */
  readonly dataDirectory: string | null;
  readonly configFile: string | null;
  readonly logFile: string | null;
  readonly foreground: boolean;
  readonly mode: StopMode;
  readonly silent: boolean;
  readonly timeoutMs: number;
  readonly wait: boolean;
}

export interface CommandModule {
  run(settings: Settings, output: Output): Promise<ExitStatus> | ExitStatus;
}

/** The command line itself is wrong. main.ts adds where to read how it goes. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** null: the command is what is wrong. */
  readonly command: string | null;

  constructor(message: string, command: string | null) {
    super(message);
    this.command = command;
  }
}
