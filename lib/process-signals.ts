// process-signals.ts: what the signals of the postmaster's own process mean, as to PostgreSQL's.

import type { ShutdownMode } from './model/state.ts';

export interface SignalOwner {
  reload(): void;
  stop(mode: ShutdownMode): void;
}

const MODE_OF_SIGNAL = { SIGTERM: 'smart', SIGINT: 'fast', SIGQUIT: 'immediate' } as const;

/** From here on they are the owner's. Gives what undoes it. */
export function handleSignals(owner: SignalOwner): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    if (signal === 'SIGHUP') owner.reload();
    else if (signal in MODE_OF_SIGNAL) {
      owner.stop(MODE_OF_SIGNAL[signal as keyof typeof MODE_OF_SIGNAL]);
    }
  };
  const signals = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}
