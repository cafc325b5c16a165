// backend.ts: what the main of a backend gets besides its connection: all that a worker has, and who
// the client is.

import type { Peer } from '../native.ts';
import type { BackendStart } from '../travel/notes.ts';
import { BackgroundWorker, type WorkerSurroundings } from './background-worker.ts';

/**
 * A process that serves one client, seen from inside. Made once, before main() is called. Its latch
 * is set when the connection is closed, too.
 */
export class Backend extends BackgroundWorker {
  #client: Peer | null;

  /** For the backend's wiring. */
  constructor(start: BackendStart, surroundings: WorkerSurroundings) {
    super(start, surroundings);
    this.#client = start.peer;
  }

  /** Who the client is: its address, or its process and user. */
  get peer(): Peer {
    if (this.#client === null)
      throw new Error('before its main runs, a backend may have no client');
    return this.#client;
  }

  /** For the backend's wiring: null: a spare one, whose client is still to come. */
  get client(): Peer | null {
    return this.#client;
  }

  /** For the backend's wiring: the client of a spare one has come. */
  meet(client: Peer): void {
    this.#client = client;
  }
}
