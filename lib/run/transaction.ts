// transaction.ts: a function in a transaction, and again if the server says that it must be.
//
// Whatever happens, the connection is out of the transaction when the promise settles, or it is
// lost. What is never done: to connect anew, or to say that something was committed that was not.

import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import { DEADLOCK_DETECTED, SERIALIZATION_FAILURE, sqlState } from '../postgres/sql-state.ts';

export const ISOLATION_LEVELS = ['read committed', 'repeatable read', 'serializable'] as const;

export type IsolationLevel = (typeof ISOLATION_LEVELS)[number];

export interface TransactionOptions {
  /** Default: the server's default_transaction_isolation. */
  readonly isolation?: IsolationLevel;
  readonly readOnly?: boolean;
  /** With 'serializable' and readOnly: waits until it can run without ever failing for others. */
  readonly deferrable?: boolean;
  /**
   * How often it is run again when the server undid it for the sake of others (SQLSTATE 40001,
   * serialization failure, and 40P01, deadlock); true: until it is through. The function is then
   * called again, so what it does outside of the database is done again. Default: 0.
   */
  readonly retrySerializationFailures?: number | boolean;
  /** Cancels the statement that runs, and keeps it from being run again. */
  readonly signal?: AbortSignal;
}

/** What may run inside; its promise is the transaction's. */
export type TransactionBody<Value> = (client: Client) => Value | Promise<Value>;

/** Between two tries: a random part of it, so that two who collided do not meet again. */
const PAUSE_MIN_MS = 2;
const PAUSE_MAX_MS = 1_000;

/**
 * @throws BgworkerError ERR_INVALID_OPTION; ERR_COMMIT_UNKNOWN when the connection was lost before
 * the server answered to COMMIT; ERR_TRANSACTION_ABORTED when a statement failed and the function
 * went on as if nothing had happened; else what the function or the server threw
 */
export async function runTransaction<Value>(
  client: Client,
  body: TransactionBody<Value>,
  options: TransactionOptions,
): Promise<Value> {
  const begin = beginStatement(options);
  const { signal } = options;
  let left = triesAfterFirst(options);
  for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    signal?.throwIfAborted();
    try {
      return await tryOnce(client, begin, body, signal);
    } catch (error) {
      if (left-- <= 0 || !wasForOthers(error)) throw error;
    }
    await delay(Math.random() * pauseMs, undefined, { signal }).catch(() => {});
  }
}

async function tryOnce<Value>(
  client: Client,
  begin: string,
  body: TransactionBody<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  await client.query(begin);
  let value: Value;
  try {
    value = await body(client);
    signal?.throwIfAborted();
  } catch (error) {
    // It fails only where the connection is lost, and the transaction with it.
    await client.query('ROLLBACK').catch(() => {});
    throw signal?.aborted ? signal.reason : error;
  }
  await commit(client);
  return value;
}

async function commit(client: Client): Promise<void> {
  let answer: string;
  try {
    answer = (await client.query('COMMIT')).command;
  } catch (cause) {
    // An error that leaves the session alive is a no: a deferred constraint, a serialization
    // failure. Any other may have come before the commit, or behind it.
    const isAlive = await client.query('ROLLBACK').then(
      () => true,
      () => false,
    );
    if (isAlive) throw cause;
    throw new BgworkerError('ERR_COMMIT_UNKNOWN', messages.commitUnknown(cause), { cause });
  }
  if (answer === 'ROLLBACK') {
    throw new BgworkerError('ERR_TRANSACTION_ABORTED', messages.transactionAborted);
  }
}

function wasForOthers(error: unknown): boolean {
  const state = sqlState(error);
  return state === SERIALIZATION_FAILURE || state === DEADLOCK_DETECTED;
}

function beginStatement({ isolation, readOnly, deferrable }: TransactionOptions): string {
  if (isolation !== undefined && !ISOLATION_LEVELS.includes(isolation)) {
    const rule = `must be ${ISOLATION_LEVELS.map((level) => `'${level}'`).join(' or ')}`;
    throw refuse('isolation', rule, isolation);
  }
  for (const [name, value] of Object.entries({ readOnly, deferrable })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw refuse(name, 'must be true or false', value);
    }
  }
  return [
    'BEGIN',
    isolation === undefined ? '' : `ISOLATION LEVEL ${isolation.toUpperCase()}`,
    readOnly === undefined ? '' : readOnly ? 'READ ONLY' : 'READ WRITE',
    deferrable === undefined ? '' : deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE',
  ]
    .filter((word) => word !== '')
    .join(' ');
}

function triesAfterFirst({ retrySerializationFailures: retry = 0 }: TransactionOptions): number {
  if (typeof retry === 'boolean') return retry ? Number.POSITIVE_INFINITY : 0;
  if (Number.isInteger(retry) && retry >= 0) return retry;
  throw refuse('retrySerializationFailures', 'must be true, false or a whole number', retry);
}

function refuse(path: string, rule: string, got: unknown): BgworkerError {
  const sentence = messages.invalidOption('transaction()', path, rule, got);
  return new BgworkerError('ERR_INVALID_OPTION', sentence);
}
