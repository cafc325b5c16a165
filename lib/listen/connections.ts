// connections.ts: the accepted connections that are still the postmaster's, by number.
//
// Only from accept to hand-over: whoever serves a connection has a descriptor of his own, and ours
// is closed, so that the client sees the end when the backend is gone. Nothing is read from one
// that is to be served.

import { closeSync } from 'node:fs';
import type { ConnectionId } from '../model/clients.ts';
import { LingeringConnections } from './lingering.ts';

export class Connections {
  readonly #open = new Map<ConnectionId, number>();
  readonly #lingering = new LingeringConnections();
  #last: ConnectionId = 0;

  /** The descriptor is ours from here on. */
  add(descriptor: number): ConnectionId {
    this.#open.set(++this.#last, descriptor);
    return this.#last;
  }

  /** Stays ours to close; undefined: it was handed over or refused already. */
  descriptorOf(connection: ConnectionId): number | undefined {
    return this.#open.get(connection);
  }

  /** Somebody else serves it. Idempotent. */
  release(connection: ConnectionId): void {
    const descriptor = this.#take(connection);
    if (descriptor !== undefined) closeSync(descriptor);
  }

  /** Says why, and closes when the client has had a chance to read it. */
  refuse(connection: ConnectionId, words: Uint8Array): void {
    const descriptor = this.#take(connection);
    if (descriptor !== undefined) this.#lingering.add(descriptor, words);
  }

  close(): void {
    for (const connection of [...this.#open.keys()]) this.release(connection);
    this.#lingering.closeAll();
  }

  #take(connection: ConnectionId): number | undefined {
    const descriptor = this.#open.get(connection);
    this.#open.delete(connection);
    return descriptor;
  }
}
