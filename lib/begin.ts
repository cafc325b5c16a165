// begin.ts: what the policy begins with: the limits and the kind of database, from the options.

import type { Begin } from './model/state.ts';
import type { CheckedOptions } from './register/options.ts';

/** SIGKILL_CHILDREN_AFTER_SECS, in milliseconds. */
const QUIT_MS = 5_000;

const SERVER_RESTART_MS = 1_000;

/** A worker is up in some milliseconds; one that is stopped, or starved, never. */
const BOOT_MS = 100;

export function beginOf(options: CheckedOptions): Begin {
  const { maxWorkerProcesses, maxParallelWorkers, shutdownTimeout, restartAfterCrash } = options;
  const { postgres, clients } = options;
  return {
    limits: {
      slotCount: maxWorkerProcesses,
      parallelCount: maxParallelWorkers,
      shutdownMs: shutdownTimeout * 1000,
      quitMs: QUIT_MS,
      bootMs: BOOT_MS,
      serverRestartMs: SERVER_RESTART_MS,
      restartAfterCrash,
      restartOnServerLoss: postgres?.onServerLoss !== 'keep',
    },
    follows: followsOf(postgres),
    ...(clients !== null && { clients }),
  };
}

function followsOf(postgres: CheckedOptions['postgres']): Begin['follows'] {
  if (postgres === null) return 'nothing';
  return 'embedded' in postgres ? 'embedded' : 'conninfo';
}
