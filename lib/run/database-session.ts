// database-session.ts: a worker's connection to the database: at most one at a time, and what is
// done with it: what runs is shown, can be cancelled, and can be a transaction; and notifications.
//
// It never connects anew by itself. A connection that is lost says so to whoever uses it ('error',
// then 'end', and every query rejects), and connect() can then be called again.

import type { Client } from 'pg';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import type { FollowedDatabase } from '../model/followed.ts';
import type { Registration } from '../model/registration.ts';
import type { TargetClient } from '../postgres/connect/client.ts';
import type { SessionOptions } from '../postgres/connect/session-options.ts';
import { INVALID_CATALOG_NAME, sqlState } from '../postgres/sql-state.ts';
import type { Activity } from '../shared/activity.ts';
import type { Latch } from './latch.ts';
import { type NotificationHandler, type Subscription, Subscriptions } from './subscriptions.ts';
import { runTransaction, type TransactionBody, type TransactionOptions } from './transaction.ts';

export interface ConnectOptions extends SessionOptions {
  /** Default: the registration's `database`, else the one of the postmaster's conninfo. */
  readonly database?: string;
  /** Default: the registration's `user`, else the one of the postmaster's conninfo. */
  readonly user?: string;
  readonly signal?: AbortSignal;
}

export interface SessionOwner {
  readonly registration: Pick<Registration, 'name' | 'flags' | 'database' | 'user'>;
  /** null: the postmaster has no database. */
  readonly database: FollowedDatabase | null;
  readonly latch: Latch;
  /** null: it has no shared memory to be shown in. */
  readonly activity: Activity | null;
}

/** A session on its way, or one that is there. */
type Standing =
  | { readonly kind: 'none' }
  | { readonly kind: 'connecting' }
  | {
      readonly kind: 'connected';
      readonly client: TargetClient;
      readonly subscriptions: Subscriptions;
    };

/** From PostgreSQL 14 on a server can look whether its client still lives, while a statement runs. */
const CONNECTION_CHECK = 'client_connection_check_interval';
const CONNECTION_CHECK_SINCE = 14;

export class DatabaseSession {
  readonly #owner: SessionOwner;
  #standing: Standing = { kind: 'none' };
  #isBusy = false;
  #isInTransaction = false;
  /** Whose connection is shown. */
  #shown: TargetClient | null = null;
  /** What connect() was refused with because the database does not exist. */
  #noDatabase: unknown = null;

  constructor(owner: SessionOwner) {
    this.#owner = owner;
  }

  async connect(options: ConnectOptions): Promise<Client> {
    const { registration, database } = this.#owner;
    const { name, flags } = registration;
    const refuse = (sentence: string) => new BgworkerError('ERR_NO_DATABASE_CONNECTION', sentence);
    if (!flags.includes('BACKEND_DATABASE_CONNECTION')) throw refuse(messages.flagMissing(name));
    if (database === null) throw refuse(messages.noDatabaseFollowed(name));
    if (this.#isOpen()) throw refuse(messages.connectedTwice(name));
    this.#standing = { kind: 'connecting' };
    try {
      const client = await this.#open(database, options);
      const subscriptions = new Subscriptions(client, this.#owner.latch);
      this.#standing = { kind: 'connected', client, subscriptions };
      return client;
    } catch (error) {
      this.#standing = { kind: 'none' };
      if (sqlState(error) === INVALID_CATALOG_NAME) this.#noDatabase = error;
      throw error;
    }
  }

  listen(channel: string, handler?: NotificationHandler): Promise<Subscription> {
    return this.#connected('listen()').subscriptions.add(channel, handler);
  }

  async transaction<Value>(
    body: TransactionBody<Value>,
    options: TransactionOptions,
  ): Promise<Value> {
    const { client } = this.#connected('transaction()');
    if (this.#isInTransaction) {
      throw new BgworkerError('ERR_WRONG_STATE', messages.transactionUnderWay);
    }
    this.#isInTransaction = true;
    const cancel = () => void this.cancel().catch(() => {}); // The statement then ends by itself.
    options.signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await runTransaction(client, body, options);
    } finally {
      options.signal?.removeEventListener('abort', cancel);
      this.#isInTransaction = false;
    }
  }

  /** Nothing happens if nothing runs. */
  async cancel(): Promise<void> {
    if (this.#standing.kind !== 'connected' || !this.#isBusy) return;
    await this.#standing.client.requestCancel();
  }

  /** Is that what connect() was refused with because the database is not there, or comes of it? */
  wasRefusedWith(error: unknown): boolean {
    if (this.#noDatabase === null) return false;
    for (let cause = error; cause instanceof Error; cause = cause.cause) {
      if (cause === this.#noDatabase) return true;
    }
    return false;
  }

  async #open(database: FollowedDatabase, options: ConnectOptions): Promise<TargetClient> {
    // Loaded before the fork if the postmaster follows a database; what comes here is a look-up.
    const { connectTo } = await import('../postgres/connect/connect.ts');
    const { settingsOf } = await import('../postgres/connect/session-options.ts');
    const { targetFor } = await import('../postgres/target-for.ts');
    const settings = settingsOf(options);
    const target = targetFor(database, this.#owner.registration, options);
    const client = await connectTo(target, { signal: options.signal, settings });
    this.#watch(client, target.database);
    try {
      // A worker that is killed takes along what it runs, as in PostgreSQL, where the two are one.
      const version = Number.parseInt(client.reported('server_version') ?? '', 10);
      if (version >= CONNECTION_CHECK_SINCE && settings[CONNECTION_CHECK] === undefined) {
        await client.query(`SET ${CONNECTION_CHECK} = '1s'`);
      }
      return client;
    } catch (error) {
      await client.end().catch(() => {}); // It is lost, which the error says.
      throw error;
    }
  }

  /** What it runs is shown, from the moment it is handed over until nothing more waits. */
  #watch(client: TargetClient, database: string): void {
    const { activity } = this.#owner;
    const show = (statement: string | null) => {
      this.#isBusy = statement !== null;
      if (activity !== null) activity.statement = statement;
    };
    const { query } = client;
    const shown = (...args: unknown[]): unknown => {
      show(textOf(args[0]));
      return Reflect.apply(query, client, args);
    };
    client.query = shown as typeof query;
    client.on('drain', () => show(null));
    client.on('end', () => {
      if (this.#shown !== client) return;
      show(null);
      if (activity !== null) activity.database = null;
    });
    this.#shown = client;
    if (activity !== null) activity.database = database;
  }

  #isOpen(): boolean {
    const standing = this.#standing;
    return (
      standing.kind === 'connecting' || (standing.kind === 'connected' && !standing.client.isOver)
    );
  }

  #connected(verb: string): Extract<Standing, { kind: 'connected' }> {
    if (this.#standing.kind === 'connected') return this.#standing;
    throw new BgworkerError('ERR_WRONG_STATE', messages.notConnected(verb));
  }
}

/** Of any of the forms that pg takes: a text, { text }, or a query object. */
function textOf(query: unknown): string {
  if (typeof query === 'string') return query;
  const { text } = (query ?? {}) as { text?: unknown };
  return typeof text === 'string' ? text : '';
}
