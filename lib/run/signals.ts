// signals.ts: what a worker does with signals that it did not ask for.
//
// All but SIGQUIT and SIGCHLD are blocked from the fork until the synchronous part of main() is over, so that
// main() can install handlers first. Then PostgreSQL's defaults are put in where there is none:
// SIGTERM ends the worker with a message and exit 1, SIGINT cancels the statement that runs on its
// database connection, everything else is ignored. SIGQUIT is not
// here: the native side leaves by _exit(2) at once, whatever JavaScript is doing.

import type { Latch } from './latch.ts';

/** Taken by nobody unless main() says so; SIGPIPE is node's business. */
const IGNORED = ['SIGHUP', 'SIGUSR2'] as const;

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

/**
 * Exec'ed worker only, first thing. Its signal mask holds for the main thread alone, and a signal
 * to the process would go to one of node's helper threads, so it is caught and kept until the end
 * of main()'s synchronous part. A fork has no such threads: there the mask does it.
 */
export function holdSignals(): void {
  for (const signal of HELD) process.on(signal, hold);
}

const HELD = ['SIGTERM', 'SIGINT', ...IGNORED] as const;
const held = new Set<NodeJS.Signals>();

function hold(signal: NodeJS.Signals): void {
  held.add(signal);
}

export interface DefaultHandlers {
  /** SIGTERM. */
  terminate(): void;
  /** SIGINT. */
  interrupt(): void;
}

/** After the synchronous part of main(), before signals are unblocked. */
export function installDefaults({ terminate, interrupt }: DefaultHandlers): void {
  installDefault('SIGTERM', terminate);
  installDefault('SIGINT', interrupt);
  for (const signal of IGNORED) {
    if (isNobodys(signal)) process.on(signal, ignore);
  }
  // Last: without any listener the system's own default would be back for a moment.
  for (const signal of HELD) process.off(signal, hold);
}

/** A handler of the worker's own that came later takes its place. */
function installDefault(signal: NodeJS.Signals, act: () => void): void {
  if (!isNobodys(signal)) return;
  process.on(signal, () => {
    if (process.listenerCount(signal) === 1) act();
  });
}

/** What came before anybody could take it. */
export function deliverHeld(): void {
  for (const signal of held) process.emit(signal, signal);
  held.clear();
}

function isNobodys(signal: NodeJS.Signals): boolean {
  return process.listeners(signal).every((listener) => listener === hold);
}

function ignore(): void {}
