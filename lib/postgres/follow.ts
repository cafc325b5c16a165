// follow.ts: watches a PostgreSQL server and says in which state it is, for the phases.
//
// One idle connection while the server is there: its end is the news that the server is gone, so
// nothing is asked while nothing happens. While it is away, and while it is a standby that may be
// promoted (an idle session is not told of that), it is asked again after a pause.

import type pg from 'pg';
import { BgworkerError } from '../errors.ts';
import type { DatabaseState } from '../model/phase.ts';
import { orAborted } from './connect/abort.ts';
import { connectTo } from './connect/connect.ts';
import { overrideConninfo, processEnvironment, resolveConninfo } from './conninfo/index.ts';

export interface FollowOptions {
  readonly conninfo: string;
  /** Called for each change, and once at the beginning when anything is known. */
  onState(state: DatabaseState, detail: string | null): void;
  /**
   * The server will never let us in: a wrong password, no such database. Only before the first
   * connection; later it is one of the states in which it is asked again.
   */
  onRefused(error: Error): void;
}

export interface Follower {
  /** Ends the connection, or the attempt. Idempotent. */
  close(): Promise<void>;
}

/** The first pause is short, because a server that starts is ready soon. Milliseconds. */
const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 1_000;
/** How often a standby is asked whether it still is one: a promotion is noticed within that. */
const STANDBY_LOOK_MS = 500;

/** SQLSTATE of a server that is there and does not let anyone in yet, or any more. */
const CANNOT_CONNECT_NOW = '57P03';

export function follow(options: FollowOptions): Follower {
  const abort = new AbortController();
  const done = run(options, abort.signal);
  return {
    async close() {
      abort.abort(new Error('the postmaster does not follow this server any more'));
      await done;
    },
  };
}

async function run(options: FollowOptions, signal: AbortSignal): Promise<void> {
  let pauseMs = PAUSE_MIN_MS;
  let hasConnected = false;
  let last: DatabaseState | null = null;
  const say = (state: DatabaseState, detail: string | null) => {
    if (state !== last && !signal.aborted) options.onState(state, detail);
    last = state;
  };
  while (!signal.aborted) {
    try {
      await stay(options.conninfo, signal, (state) => {
        hasConnected = true;
        pauseMs = PAUSE_MIN_MS;
        say(state, null);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!hasConnected && isFinal(error, options.conninfo))
        return options.onRefused(error as Error);
      say(stateOfFailure(error), error instanceof Error ? error.message : String(error));
    }
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
  }
}

/** From a connection to its end. Throws what ended it. */
async function stay(
  conninfo: string,
  signal: AbortSignal,
  say: (state: DatabaseState) => void,
): Promise<void> {
  const target = resolveConninfo(
    overrideConninfo(conninfo, { applicationName: 'bgworker postmaster' }),
    processEnvironment(),
  );
  const client = await connectTo(target, { signal });
  try {
    const gone = ended(client, signal);
    gone.catch(() => {}); // Its place is the race below; a query that fails first is enough.
    for (;;) {
      const inRecovery = await Promise.race([isInRecovery(client), gone]);
      say(inRecovery ? 'standby' : 'primary');
      if (!inRecovery) await gone;
      await Promise.race([pause(STANDBY_LOOK_MS, signal), gone]);
    }
  } finally {
    await client.end().catch(() => {}); // It may be gone already; that is why we are here.
  }
}

async function isInRecovery(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ yes: boolean }>('SELECT pg_is_in_recovery() AS yes');
  return rows[0]?.yes === true;
}

/** Rejects when the connection is gone or is not wanted any more. */
function ended(client: pg.Client, signal: AbortSignal): Promise<never> {
  const gone = new Promise<never>((_resolve, reject) => {
    client.on('error', reject);
    client.on('end', () => reject(new Error('the server closed the connection')));
  });
  return orAborted(gone, signal);
}

function stateOfFailure(error: unknown): DatabaseState {
  return sqlState(error) === CANNOT_CONNECT_NOW ? 'recovering' : 'unreachable';
}

/** Did the server, or our own reading of the conninfo, say a no that time does not change? */
function isFinal(error: unknown, conninfo: string): boolean {
  if (!(error instanceof BgworkerError)) return false;
  if (error.code === 'ERR_CONNINFO') return true;
  if (error.code !== 'ERR_SERVER_REFUSED') return false;
  const state = sqlState(error);
  if (state !== null) return /^(28|3D|42501)/.test(state);
  // No SQLSTATE: a password or a protection is missing. Or it is the wrong kind of session, if a
  // kind was asked for, and a server may become what it is not yet.
  return resolveConninfo(conninfo, processEnvironment()).targetSessionAttrs === 'any';
}

function sqlState(error: unknown): string | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return null;
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, delayMs);
    signal.addEventListener('abort', end, { once: true });
    function end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    }
  });
}
