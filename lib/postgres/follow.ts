// follow.ts: watches a PostgreSQL server and says in which state it is, for the phases.
//
// One idle connection while the server is there: its end is the news that the server is gone, so
// nothing is asked while nothing happens. Or it is only the end of this session, which somebody has
// ended (an administrator, a timeout for idle ones): so who is let in again at once, by a server that
// has not been started since, has lost nothing. While it is away it is looked for, at all hosts of
// the connection string, after a pause; and a standby, which does not say by itself that it has been
// promoted, is asked for an answer (recovery.ts).

import { BgworkerError } from '../errors.ts';
import type { ServerAddress } from '../model/followed.ts';
import type { DatabaseState } from '../model/phase.ts';
import { orAborted } from './connect/abort.ts';
import type { TargetClient } from './connect/client.ts';
import { overrideConninfo, processEnvironment, resolveConninfo } from './conninfo/index.ts';
import { connectMessages } from './conninfo/messages.ts';
import { isInRecovery, noLongerSuits } from './recovery.ts';
import { CANNOT_CONNECT_NOW, INSUFFICIENT_PRIVILEGE, sqlState } from './sql-state.ts';
import { watchful } from './watchful.ts';

export interface FollowOptions {
  readonly conninfo: string;
  /**
   * There is a connection: to this one of the servers that the connection string names. `instead`:
   * how the one before it ended, if no server was lost by that.
   */
  onConnected(server: ServerAddress, where: string, instead: string | null): void;
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
  const sayAway = (error: unknown) => say(stateOfFailure(error), reasonOf(error));
  /** The server of the present session, or of the last one. */
  let server: string | null = null;
  /** How that session ended, if its server may still be there. */
  let ended: unknown = null;
  while (!signal.aborted) {
    const from = performance.now();
    try {
      await stay(options, signal, {
        arrived: ({ address, where, life }) => {
          hasConnected = true;
          const isTheSame = ended !== null && life !== null && server === life;
          options.onConnected(address, where, isTheSame ? reasonOf(ended) : null);
          if (ended !== null && !isTheSame) sayAway(ended);
          server = life;
          ended = null;
        },
        say: (state) => say(state, null),
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!hasConnected && isFinal(error, options.conninfo))
        return options.onRefused(error as Error);
      const wasThere = performance.now() - from > PAUSE_MAX_MS && ended === null && server !== null;
      // One that was there for a while is probably being started again; one that only lets us in and
      // out is not hurried.
      if (wasThere) pauseMs = PAUSE_MIN_MS;
      if (wasThere && !isOfTheNetwork(error)) {
        ended = error;
        continue;
      }
      if (ended !== null) sayAway(ended);
      ended = null;
      server = null;
      sayAway(error);
    }
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
  }
}

/** A server that a session has been got from. */
interface Arrival {
  readonly address: ServerAddress;
  readonly where: string;
  /** Names the server from one start of it to the next; null: it does not say. */
  readonly life: string | null;
}

interface StayHooks {
  arrived(server: Arrival): void;
  say(state: DatabaseState): void;
}

/** From a connection to its end. Throws what ended it. */
async function stay(
  { conninfo }: FollowOptions,
  signal: AbortSignal,
  { arrived, say }: StayHooks,
): Promise<void> {
  const wanted = overrideConninfo(conninfo, { applicationName: 'bgworker postmaster' });
  const target = watchful(resolveConninfo(wanted, processEnvironment()));
  // Not loaded before it is needed: a postmaster without a server starts a tenth of a second sooner.
  const { connectTo } = await import('./connect/connect.ts');
  const client = await connectTo(target, { signal });
  const session = new Session(client, signal);
  try {
    const { password: _, ...address } = client.endpoint.host;
    const { where } = client.endpoint;
    const startedAt = await orAborted(startOf(client), session.over);
    const life = startedAt === null ? null : `${where}, started ${startedAt}`;
    arrived({ address, where, life });
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

/** The one statement that it ever runs. null: this user may not ask. */
async function startOf(client: TargetClient): Promise<string | null> {
  try {
    const { rows } = await client.query<{ at: string }>(
      'SELECT pg_catalog.pg_postmaster_start_time()::text AS at',
    );
    return rows[0]?.at ?? null;
  } catch (error) {
    if (sqlState(error) === INSUFFICIENT_PRIVILEGE) return null;
    throw error;
  }
}

/** Not a word of the server's, and no farewell: asking the same host again would take its time. */
function isOfTheNetwork(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN'].includes(String(code));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
