// control-socket.ts: the control socket: a Unix socket in the data directory, mode 0600, on which the
// postmaster takes requests. Who may connect is who may enter the directory: the same user, or root.
//
// It is there from the lock file's beginning to its end, so a file that is there already is a dead
// postmaster's.

import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { BgworkerError } from '../errors.ts';
import { sentenceOf } from '../messages.ts';
import { native } from '../native.ts';
import type { ControlPlace } from '../travel/control.ts';
import { ControlPath } from '../travel/control-path.ts';
import { Connection } from './connection.ts';
import { sayFarewell } from './farewell.ts';
import { OUTSIDERS_MAX } from './limits.ts';
import * as messages from './messages.ts';
import type { Registrar } from './registrar.ts';

export interface ControlSocketOptions {
  readonly dataDirectory: string;
  readonly slotCount: number;
  readonly registrar: Registrar;
  log(sentence: string): void;
}

const MODE = 0o600;
/** Those that have connected and were not accepted yet. */
const BACKLOG = 128;

export class ControlSocket {
  readonly place: ControlPlace;
  readonly #path: ControlPath;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  /** Whether it was said already that there are too many. */
  #isFull = false;

  /** @throws BgworkerError ERR_DATA_DIRECTORY */
  constructor({ dataDirectory, slotCount, registrar, log }: ControlSocketOptions) {
    this.place = { dataDirectory, instance: randomUUID() };
    this.#path = openPath(dataDirectory);
    const descriptor = listen(this.#path);
    const owner = {
      instance: this.place.instance,
      ask: registrar.ask.bind(registrar),
      left: (connection: Connection) => {
        this.#connections.delete(connection);
        this.#isFull = false;
        registrar.leave(connection);
      },
      log,
    };
    // Each worker has one, and people have some more.
    const most = slotCount + OUTSIDERS_MAX;
    this.#server = createServer((socket) => {
      if (this.#connections.size < most) this.#connections.add(new Connection(socket, owner));
      else this.#turnAway(socket, most, log);
    });
    // Those who are turned away take a moment, too. A flood of them is not even told.
    this.#server.maxConnections = most + OUTSIDERS_MAX;
    // accept(2) that fails (no descriptor left) is tried again when somebody else connects.
    this.#server.on('error', (error) => log(messages.notListening(this.#path.path, error.message)));
    this.#server.listen({ fd: descriptor });
    // What the postmaster lives for is not its clients.
    this.#server.unref();
  }

  /** It is told so, and need not take us for dead. Logged once, until there is room again. */
  #turnAway(socket: Socket, most: number, log: (sentence: string) => void): void {
    const message = messages.tooManyClients(most);
    if (!this.#isFull) log(`control socket: ${message}`);
    this.#isFull = true;
    socket.on('error', () => {}); // It did not wait for that.
    sayFarewell(socket, message);
  }

  /** Nobody can connect any more, and who is connected sees the end. */
  close(): void {
    rmSync(this.#path.path, { force: true });
    this.#server.close();
    for (const connection of this.#connections) connection.close();
    this.#path[Symbol.dispose]();
  }
}

function openPath(dataDirectory: string): ControlPath {
  try {
    return new ControlPath(dataDirectory);
  } catch (cause) {
    throw notListening(dataDirectory, cause);
  }
}

function listen(path: ControlPath): number {
  try {
    rmSync(path.path, { force: true });
    return native.listenLocally(path.path, MODE, BACKLOG);
  } catch (cause) {
    path[Symbol.dispose]();
    throw notListening(path.path, cause);
  }
}

function notListening(path: string, cause: unknown): BgworkerError {
  const sentence = messages.notListening(path, sentenceOf(cause));
  return new BgworkerError('ERR_DATA_DIRECTORY', sentence, { cause });
}
