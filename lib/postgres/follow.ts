// follow.ts: watches a PostgreSQL server and says in which state it is, for the phases.
//
// One idle connection while the server is there: its end is the news that the server is gone, so
// nothing is asked while nothing happens. While it is away it is looked for, at all hosts of the
// connection string, after a pause; and a standby, which does not say by itself that it has been
// promoted, is asked for an answer (recovery.ts).

import { BgworkerError } from '../errors.ts';
import type { ServerAddress } from '../model/followed.ts';
import type { DatabaseState } from '../model/phase.ts';
import { orAborted } from './connect/abort.ts';
import type { TargetClient } from './connect/client.ts';
import { connectTo } from './connect/connect.ts';
import { overrideConninfo, processEnvironment, resolveConninfo } from './conninfo/index.ts';
import { connectMessages } from './conninfo/messages.ts';
import { isInRecovery, noLongerSuits } from './recovery.ts';
import { CANNOT_CONNECT_NOW, sqlState } from './sql-state.ts';
import { watchful } from './watchful.ts';

export interface FollowOptions {
  readonly conninfo: string;
  /** There is a connection: to this one of the servers that the connection string names. */
  onConnected(server: ServerAddress, where: string): void;
  /**
   * Called for each change, and once at the beginning when anything is known; also when it is away
   * for another reason than before. `detail`: that reason.
   */
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
  let last: { readonly state: DatabaseState; readonly detail: string | null } | null = null;
  const say = (state: DatabaseState, detail: string | null) => {
    const isNews = state !== last?.state || detail !== last.detail;
    if (isNews && !signal.aborted) options.onState(state, detail);
    last = { state, detail };
  };
  while (!signal.aborted) {
    const from = performance.now();
    try {
      await stay(options, signal, (state) => {
        hasConnected = true;
        say(state, null);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!hasConnected && isFinal(error, options.conninfo))
        return options.onRefused(error as Error);
      say(stateOfFailure(error), error instanceof Error ? error.message : String(error));
    }
    // One that was there for a while is probably being started again; one that only lets us in and
    // out is not hurried.
    if (hasConnected && performance.now() - from > PAUSE_MAX_MS) pauseMs = PAUSE_MIN_MS;
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
  }
}

/** From a connection to its end. Throws what ended it. */
async function stay(
  { conninfo, onConnected }: FollowOptions,
  signal: AbortSignal,
  say: (state: DatabaseState) => void,
): Promise<void> {
  const wanted = overrideConninfo(conninfo, { applicationName: 'bgworker postmaster' });
  const target = watchful(resolveConninfo(wanted, processEnvironment()));
  const client = await connectTo(target, { signal });
  const session = new Session(client, signal);
  try {
    const { password: _, ...address } = client.endpoint.host;
    onConnected(address, client.endpoint.where);
    while (await orAborted(isInRecovery(client), session.over)) {
      say('standby');
      await pause(STANDBY_LOOK_MS, session.over);
      session.over.throwIfAborted();
    }
    const unsuitable = noLongerSuits(target.targetSessionAttrs, false);
    if (unsuitable !== null) throw unsuitable;
    say('primary');
    await session.end();
  } finally {
    session.close();
    await client.end().catch(() => {}); // It may be gone already; that is why we are here.
  }
}

/**
 * Until when a connection lasts: until it is lost, or not wanted any more. A signal and no promise:
 * a standby is looked at for months, and each wait for a promise stays with it until it settles.
 */
class Session {
  readonly #over = new AbortController();
  readonly #unwanted: AbortSignal;

  constructor(client: TargetClient, unwanted: AbortSignal) {
    this.#unwanted = unwanted;
    client.on('error', (error) => this.#over.abort(error));
    client.on('end', () => this.#over.abort(connectMessages.ended()));
    unwanted.addEventListener('abort', this.#give, { once: true });
    if (unwanted.aborted) this.#give();
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Rejects with what ended it. */
  end(): Promise<never> {
    return orAborted(new Promise<never>(() => {}), this.over);
  }

  close(): void {
    this.#unwanted.removeEventListener('abort', this.#give);
  }

  readonly #give = (): void => this.#over.abort(this.#unwanted.reason);
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
