// attempt.ts: one attempt to get a session from one address, over TLS or in plain.
//
// It owns the socket from its creation until it hands over a client that works: whatever ends the
// attempt, an abort included, the socket is closed when attempt() rejects.

import { once } from 'node:events';
import { Socket } from 'node:net';
import pg from 'pg';
import { connectMessages } from '../conninfo/messages.ts';
import type { TargetSessionAttrs } from '../conninfo/target.ts';
import { orAborted } from './abort.ts';
import { type SessionSpec, TargetClient } from './client.ts';

export interface AttemptSpec extends SessionSpec {
  readonly attrs: TargetSessionAttrs;
  readonly signal: AbortSignal;
}

export type Verdict =
  /** Nothing that speaks PostgreSQL's protocol answered: try elsewhere. */
  | 'unreachable'
  /** The server answered, but cannot be used now or for this: try elsewhere. */
  | 'unsuitable'
  /** The server does not do TLS. */
  | 'no TLS'
  /** Encryption was what stood in the way: the other way may be open. */
  | 'encryption'
  /** The server, or our check of it, said no: that will not change elsewhere. */
  | 'refused';

export class AttemptFailure extends Error {
  readonly verdict: Verdict;
  override readonly cause: Error;

  constructor(verdict: Verdict, cause: Error) {
    super(cause.message, { cause });
    this.verdict = verdict;
    this.cause = cause;
  }
}

/** Rejects with an AttemptFailure, or with the reason of the signal. */
export async function attempt(spec: AttemptSpec): Promise<TargetClient> {
  const { signal } = spec;
  signal.throwIfAborted();
  const socket = new Socket();
  const answer = { toSslRequest: null as string | null };
  if (spec.tls !== null) {
    socket.once('data', (bytes: Buffer) => {
      answer.toSslRequest = bytes.toString('latin1', 0, 1);
    });
  }
  const client = new TargetClient(spec, socket);
  // pg reports a failure as an event, too, and sometimes late; the promise has told us already.
  client.on('error', ignoreRepeated);
  try {
    await orAborted(client.connect(), signal);
    client.applyKeepalives();
    await orAborted(checkSession(client, spec.attrs), signal);
    client.off('error', ignoreRepeated);
    return client;
  } catch (thrown) {
    await close(socket);
    if (signal.aborted) throw signal.reason;
    throw judge(thrown, spec, answer.toSslRequest);
  }
}

function ignoreRepeated(): void {}

/** Throws an AttemptFailure if the session is not of the kind that was asked for. */
async function checkSession(client: pg.Client, attrs: TargetSessionAttrs): Promise<void> {
  if (attrs === 'any' || attrs === 'prefer-standby') return;
  const readOnly = attrs === 'read-write' || attrs === 'read-only';
  const query = readOnly
    ? `SELECT pg_catalog.current_setting('transaction_read_only') = 'on' AS answer`
    : 'SELECT pg_catalog.pg_is_in_recovery() AS answer';
  const { rows } = await client.query<{ answer: boolean }>(query);
  const wanted = attrs === 'read-only' || attrs === 'standby';
  if (rows[0]?.answer !== wanted) {
    throw new AttemptFailure('unsuitable', new Error(connectMessages.unsuitable[attrs]));
  }
}

function judge(thrown: unknown, spec: AttemptSpec, toSslRequest: string | null): AttemptFailure {
  if (thrown instanceof AttemptFailure) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (cause instanceof pg.DatabaseError) return new AttemptFailure(judgeServer(cause), cause);
  if (toSslRequest === 'N') {
    return new AttemptFailure('no TLS', connectMessages.noSsl(spec.target.sslMode));
  }
  // It agreed to TLS, or answered with neither yes nor no, and then nothing came of it.
  if (toSslRequest !== null) return new AttemptFailure('encryption', cause);
  return new AttemptFailure(isOfNetwork(cause) ? 'unreachable' : 'refused', cause);
}

function judgeServer({ code }: pg.DatabaseError): Verdict {
  // Starting up, shutting down, or in recovery without hot standby.
  if (code === '57P03') return 'unsuitable';
  // Class 28, invalid authorization: pg_hba.conf may have another line for the other way.
  return code?.startsWith('28') === true ? 'encryption' : 'refused';
}

/** A system call failed, or the peer hung up before it said anything. */
function isOfNetwork(error: Error): boolean {
  const { syscall, code } = error as NodeJS.ErrnoException;
  return (
    syscall !== undefined ||
    code === 'ECONNRESET' ||
    code === 'EPIPE' ||
    error.message.startsWith('Connection terminated')
  );
}

async function close(socket: Socket): Promise<void> {
  if (socket.closed) return;
  const closed = once(socket, 'close').catch(ignoreRepeated);
  socket.destroy();
  await closed;
}
