// subscriptions.ts: LISTEN and NOTIFY: what comes sets the latch, after the handlers have run.
//
// Bound to one connection. When it is lost, so are they; whoever connects anew listens anew, since
// what was said meanwhile is lost, too, and must be looked for.

import type { Client, Notification } from 'pg';
import { BgworkerError } from '../errors.ts';
import { invalidOption } from '../messages.ts';
import type { Latch } from './latch.ts';

export type NotificationHandler = (payload: string, notification: Notification) => void;

/** One handler on one channel. */
export interface Subscription extends AsyncDisposable {
  readonly channel: string;
  /** No more of it; the last one on its channel ends with UNLISTEN. Idempotent. */
  unlisten(): Promise<void>;
}

/** PostgreSQL's NAMEDATALEN - 1; what is longer, it cuts off, and nothing would be heard of it. */
const CHANNEL_MAX_BYTES = 63;

export class Subscriptions {
  readonly #client: Client;
  readonly #latch: Latch;
  readonly #handlers = new Map<string, Set<NotificationHandler>>();

  constructor(client: Client, latch: Latch) {
    this.#client = client;
    this.#latch = latch;
    client.on('notification', (notification) => this.#notified(notification));
  }

  /** @throws BgworkerError ERR_INVALID_OPTION; what the server says, as on a standby (25006) */
  async add(channel: string, handler: NotificationHandler = ignore): Promise<Subscription> {
    checkChannel(channel);
    // A function of its own, so that the same one can be given twice.
    const own: NotificationHandler = (...said) => handler(...said);
    const handlers = this.#handlers.get(channel) ?? new Set();
    handlers.add(own);
    this.#handlers.set(channel, handlers);
    try {
      // Again for each: the first may have failed in a transaction that was rolled back.
      await this.#client.query(`LISTEN ${this.#client.escapeIdentifier(channel)}`);
    } catch (error) {
      this.#forget(channel, own);
      throw error;
    }
    const unlisten = () => this.#remove(channel, own);
    return { channel, unlisten, [Symbol.asyncDispose]: unlisten };
  }

  async #remove(channel: string, handler: NotificationHandler): Promise<void> {
    if (!this.#forget(channel, handler)) return;
    await this.#client.query(`UNLISTEN ${this.#client.escapeIdentifier(channel)}`);
  }

  /** true: it was the last one on its channel. */
  #forget(channel: string, handler: NotificationHandler): boolean {
    const handlers = this.#handlers.get(channel);
    if (handlers?.delete(handler) !== true || handlers.size > 0) return false;
    return this.#handlers.delete(channel);
  }

  #notified(notification: Notification): void {
    const { channel, payload = '' } = notification;
    try {
      for (const handler of this.#handlers.get(channel) ?? []) handler(payload, notification);
    } finally {
      this.#latch.set();
    }
  }
}

function ignore(): void {}

function checkChannel(channel: unknown): void {
  const bytes = typeof channel === 'string' ? Buffer.byteLength(channel) : 0;
  const isName = bytes >= 1 && bytes <= CHANNEL_MAX_BYTES && !String(channel).includes('\0');
  if (isName) return;
  const rule = `must be a name of 1 to ${CHANNEL_MAX_BYTES} bytes without a NUL`;
  const sentence = invalidOption('listen()', 'channel', rule, channel);
  throw new BgworkerError('ERR_INVALID_OPTION', sentence);
}
