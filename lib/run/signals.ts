// signals.ts: what a worker does with signals that it did not ask for.
//
// All but SIGQUIT are blocked from the fork until the synchronous part of main() is over, so that
// main() can install handlers first. Then PostgreSQL's defaults are put in where there is none:
// SIGTERM ends the worker with a message and exit 1, everything else is ignored. SIGQUIT is not
// here: the native side leaves by _exit(2) at once, whatever JavaScript is doing.

import type { Latch } from './latch.ts';

/** Taken by nobody unless main() says so; SIGPIPE is node's business. */
const IGNORED = ['SIGHUP', 'SIGINT', 'SIGUSR2'] as const;

export type SignalHandler = (signal: NodeJS.Signals) => void;

/** A handler that sets the latch when it has run, so that the main loop looks at what it did. */
export function onSignal(signal: NodeJS.Signals, handler: SignalHandler, latch: Latch): void {
  process.on(signal, () => {
    try {
      handler(signal);
    } finally {
      latch.set();
    }
  });
}

/** After the synchronous part of main(), before signals are unblocked. */
export function installDefaults(terminate: () => void): void {
  if (process.listenerCount('SIGTERM') === 0) {
    process.on('SIGTERM', function byDefault() {
      // A handler of the worker's own that came later takes its place.
      if (process.listenerCount('SIGTERM') === 1) terminate();
    });
  }
  for (const signal of IGNORED) {
    if (process.listenerCount(signal) === 0) process.on(signal, ignore);
  }
}

function ignore(): void {}
