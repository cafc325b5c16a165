// exit.ts: how a child ended, as the postmaster learns it.

import type { ResourceUsage } from '../native.ts';

/** How a process left. `lost`: the launcher died first, so nobody could ask. */
export type ExitCause =
  | { readonly kind: 'code'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'lost' };

export interface Exit {
  readonly cause: ExitCause;
  /** Did it run its exit cleanup, or was it attached to nothing (the dead-man switch)? */
  readonly cleanDetach: boolean;
  /** What it used; null when the launcher was not there to ask. */
  readonly usage: ResourceUsage | null;
  /** What it said last that it was doing; absent: nothing, or there was nowhere to say it. */
  readonly activity?: string;
}

/** What an exit means for the worker (CleanupBackend). */
export type Verdict =
  /** It is done: unregistered, never started again. */
  | 'retire'
  /** It failed: started again after its restart interval. */
  | 'restart'
  /** It asked for 2012's rule: started again at once. */
  | 'restart-at-once'
  /** Shared memory is suspect: everything attached to it goes down. */
  | 'crash';
