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
  /** The words behind the command, as many as it takes. */
  readonly operands: readonly string[];
  /** Of `launch` only. */
  readonly launch: LaunchSettings | null;
}

/** How a worker is registered; null: as registerDynamicBackgroundWorker() does without a word. */
export interface LaunchSettings {
  /** The words behind `--`: a program and its arguments, instead of a module. */
  readonly program: readonly string[] | null;
  readonly name: string | null;
  readonly type: string | null;
  readonly function: string | null;
  /** JSON. */
  readonly arg: string | null;
  readonly flags: readonly string[];
  readonly restartTime: number | 'never' | null;
  readonly database: string | null;
  readonly user: string | null;
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
