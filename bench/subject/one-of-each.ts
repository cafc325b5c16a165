// one-of-each.ts: a preload module with one worker that is forked and one that is exec'ed. Both
// are back at once when they end.

import type { PreloadServer } from 'bgworker';
import { idle } from './idle.ts';

export function init(server: PreloadServer): void {
  for (const launch of ['fork', 'exec'] as const) {
    server.registerBackgroundWorker({ name: launch, launch, restartOnExit0: true, main: idle });
  }
}
