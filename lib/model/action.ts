// action.ts: all that the postmaster can do. The list is closed.
//
// perform.ts carries an action out and decides nothing; that it was carried out comes back as the
// event 'done', so the state always says what has been done already.

import type { ClientAction } from './clients.ts';
import type { Phase } from './phase.ts';
import type { ChildId, EndingSignal, ServerSignal } from './standing.ts';
import type { SlotIndex } from './state.ts';

export type Action =
  | ClientAction
  | { readonly kind: 'start-launcher' }
  | { readonly kind: 'start-server' }
  /** Ask the launcher for the child of this worker. At most one a turn. */
  | { readonly kind: 'fork'; readonly slot: SlotIndex; readonly child: ChildId }
  | { readonly kind: 'end-worker'; readonly slot: SlotIndex; readonly signal: EndingSignal }
  | { readonly kind: 'end-server'; readonly signal: ServerSignal }
  | { readonly kind: 'start-startup-process' }
  | { readonly kind: 'end-startup-process'; readonly signal: EndingSignal }
  /** Kill a launcher that does not answer any more; its children die with it. */
  | { readonly kind: 'end-launcher' }
  /** Pass SIGHUP on to every worker, and read the configuration again. */
  | { readonly kind: 'reload' }
  | { readonly kind: 'enter'; readonly phase: Phase }
  /** Free the slot of a worker that is gone (ForgetBackgroundWorker). */
  | { readonly kind: 'forget'; readonly slot: SlotIndex }
  /** All that was attached is gone: throw the main area away and make a new one. */
  | { readonly kind: 'reset-memory' }
  /** The start-up hooks of the preload modules, in a child of their own. */
  | { readonly kind: 'initialize-memory' }
  /** Nothing of ours runs any more: close the launcher, remove the lock file, say goodbye. */
  | { readonly kind: 'finish'; readonly exitCode: 0 | 1 };
