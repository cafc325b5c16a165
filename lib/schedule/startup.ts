// startup.ts: when the startup process is to be started. Its end is that of everyone, in end.ts.

import type { Action } from '../model/action.ts';
import type { State } from '../model/state.ts';

/** Of a state in which things may be started, behind whatever initialises its memory. */
export function* startStartup({ startup, memory, phase }: State): Generator<Action> {
  // In INIT the phase moves first, as for every start.
  if (startup.kind === 'due' && memory === 'ready' && phase !== 'INIT') {
    yield { kind: 'start-startup-process' };
  }
}
