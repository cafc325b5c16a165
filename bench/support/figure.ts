// figure.ts: what a group of measurements hands back: figures, each with the key it has in the JSON.

export interface Figure {
  /** In the JSON, unit last: start_fork_p50_ms. */
  readonly key: string;
  readonly value: number;
  /** In the table, for people. */
  readonly what: string;
  /** What the project promises of it; none: it is there to compare with. */
  readonly target?: Target;
}

export type Target = { readonly atMost: number } | { readonly atLeast: number };

export interface Group {
  readonly name: string;
  /** One line for --help. */
  readonly about: string;
  /** Leaves no process and no file behind, however it ends. */
  run(context: Context): Promise<readonly Figure[]>;
}

export interface Context {
  /** How many times the variants take turns. */
  readonly rounds: number;
  /** Aborted by Ctrl-C: whatever waits rejects, so that everything is cleaned up. */
  readonly signal: AbortSignal;
}

export function isMet(value: number, target: Target): boolean {
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}
