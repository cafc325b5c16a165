// client-service.ts: the part of perform.ts that is about clients: the doors, the connections that
// have come in, and the processes that serve them. Decides nothing.

import { BackendProcesses } from './backend-processes.ts';
import type { LauncherProcess } from './fork/launcher-process.ts';
import type { NodeChildren } from './fork/node-children.ts';
import type { SharedMemory } from './fork/shared-memory.ts';
import { Connections } from './listen/connections.ts';
import { Listeners } from './listen/listeners.ts';
import type { Logger } from './log.ts';
import type { ClientAction } from './model/clients.ts';
import type { Event } from './model/event.ts';
import type { FollowedDatabase } from './model/followed.ts';
import type { ListenAddress, ListenEntry } from './model/listening.ts';
import { unreachable } from './model/standing.ts';
import type { State } from './model/state.ts';

export interface ClientServiceOptions {
  readonly listen: readonly ListenEntry[];
  readonly dataDirectory: string;
  readonly nodes: NodeChildren;
  readonly memory: SharedMemory;
  readonly log: Logger;
  /** The present one; null: there has been none yet. */
  launcher(): LauncherProcess | null;
  post(event: Event): void;
}

export class ClientService {
  readonly processes: BackendProcesses;
  readonly #post: (event: Event) => void;
  readonly #connections = new Connections();
  readonly #listeners: Listeners;
  #opening: Promise<void> | null = null;

  constructor({ listen, dataDirectory, log, ...rest }: ClientServiceOptions) {
    const { post } = rest;
    this.#post = post;
    this.processes = new BackendProcesses({ ...rest, connections: this.#connections });
    this.#listeners = new Listeners({
      entries: listen,
      dataDirectory,
      connected: ({ descriptor, peer }, isReserved) => {
        const connection = this.#connections.add(descriptor);
        post({ kind: 'connected', connection, peer, isReserved });
      },
      refused: (sentence) => log.error(sentence),
    });
  }

  /** What it listens on. */
  get addresses(): ListenAddress[] {
    return this.#listeners.addresses;
  }

  /** `database`: where it is, if there is one. */
  perform(action: ClientAction, state: State, database: FollowedDatabase | null): void {
    const { registration, backends, arrivals } = state.clients;
    switch (action.kind) {
      case 'listen':
        this.#listen();
        return;
      case 'accept-connections':
        return this.#listeners.accept();
      case 'refuse': {
        const words = registration?.refusals[action.reason] ?? new Uint8Array();
        return this.#connections.refuse(action.connection, words);
      }
      case 'fork-backend': {
        if (registration === null) return;
        const { child, place, connection } = action;
        const client = arrivals.find((one) => one.client.connection === connection)?.client ?? null;
        return this.processes.start({ child, place, registration, client, database });
      }
      case 'hand-over': {
        const backend = backends.get(action.place);
        if (backend !== undefined) this.processes.handOver(backend, action.connection);
        return;
      }
      case 'end-backend':
        return this.processes.end(backends.get(action.place), action.signal, state);
      default:
        return unreachable(action);
    }
  }

  /** Nobody comes in any more, and who was still to be served or told why is cut off. */
  async closeDoors(): Promise<void> {
    this.#listeners.close();
    this.#connections.close();
    await this.#opening;
  }

  #listen(): void {
    this.#opening = this.#listeners.open().then(
      () => this.#post({ kind: 'listening' }),
      (error: Error) => this.#post({ kind: 'listen-failed', error }),
    );
  }
}
