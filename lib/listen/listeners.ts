// listeners.ts: the doors: all that listens, from its binding to the last moment of the postmaster.
//
// Bound at the very beginning, so that an address in use is known at once. Who connects before the
// launcher can serve waits in the kernel's queue. Accepting goes on to the end, because who is not
// served is told why.

import { closeSync } from 'node:fs';
import { BgworkerError } from '../errors.ts';
import type { ListenAddress, ListenEntry } from '../model/listening.ts';
import { type AcceptedConnection, type DescriptorWatcher, native } from '../native.ts';
import { addressesOf } from './addresses.ts';
import { messages, reasonOf, remedyFor, where } from './messages.ts';
import { SocketFile } from './socket-file.ts';
import { takeFromSystemd } from './systemd.ts';

/** So that a storm of connections leaves the rest of the process its turns. */
const ACCEPTS_PER_TURN = 64;
/** After a refusal of the system's (too many open files): PostgreSQL's own pause. */
const PAUSE_MS = 100;
/** How often port 0 is tried again, if the port of the first address is not free on the others. */
const PORT_TRIES = 10;

/** What does not matter as long as another address of the same host works: a machine without IPv6. */
const SKIPPED = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

export interface ListenersOptions {
  readonly entries: readonly ListenEntry[];
  /** For the lock files beside socket files. */
  readonly dataDirectory: string;
  /** The descriptor is the receiver's. */
  connected(accepted: AcceptedConnection, isReserved: boolean): void;
  /** The system refuses; told once until it works again. */
  refused(sentence: string): void;
}

interface Listener {
  readonly descriptor: number;
  readonly address: ListenAddress;
  readonly isReserved: boolean;
  readonly file: SocketFile | null;
  watcher: DescriptorWatcher | null;
  pause: NodeJS.Timeout | null;
}

export class Listeners {
  readonly #options: ListenersOptions;
  #listeners: Listener[] = [];
  /** After it nothing is opened any more. */
  #isClosed = false;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  get addresses(): ListenAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** Binds all of them, or none. @throws BgworkerError ERR_LISTEN_FAILED, ERR_LOCK_FILE */
  async open(): Promise<void> {
    try {
      for (const entry of this.#options.entries) {
        if (!this.#isClosed) await this.#openEntry(entry);
      }
    } catch (error) {
      this.#closeAll();
      throw error;
    }
  }

  accept(): void {
    for (const listener of this.#listeners) this.#watch(listener);
  }

  /** Removes the socket files, too. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#closeAll();
  }

  async #openEntry(entry: ListenEntry): Promise<void> {
    const { reserved } = entry;
    switch (entry.kind) {
      case 'inet': {
        const addresses = await addressesOf(entry.host);
        if (this.#isClosed) return;
        for (const descriptor of listenOnEach(addresses, entry)) this.#add(descriptor, reserved);
        return;
      }
      case 'local': {
        const file = new SocketFile(entry, this.#options.dataDirectory);
        this.#add(file.descriptor, reserved, file);
        return;
      }
      case 'systemd':
        for (const descriptor of takeFromSystemd(entry.name)) this.#add(descriptor, reserved);
        return;
    }
  }

  #add(descriptor: number, isReserved: boolean, file: SocketFile | null = null): void {
    const name = native.listenerName(descriptor);
    const address =
      name.kind === 'local' ? { path: name.path } : { host: name.address, port: name.port };
    this.#listeners.push({ descriptor, address, isReserved, file, watcher: null, pause: null });
  }

  #watch(listener: Listener): void {
    listener.watcher = new native.DescriptorWatcher(listener.descriptor, () =>
      this.#acceptSome(listener),
    );
  }

  #acceptSome(listener: Listener): void {
    for (let i = 0; i < ACCEPTS_PER_TURN; i++) {
      let accepted: AcceptedConnection | null;
      try {
        accepted = native.acceptConnection(listener.descriptor);
      } catch (error) {
        return this.#rest(listener, error);
      }
      listener.pause = null;
      if (accepted === null) return;
      this.#options.connected(accepted, listener.isReserved);
    }
  }

  /** The client is still there, and so would be the error, as fast as the loop turns. */
  #rest(listener: Listener, error: unknown): void {
    if (listener.pause === null) {
      const place = where(listener.address);
      this.#options.refused(messages.cannotAccept(place, reasonOf(error), PAUSE_MS));
    }
    listener.watcher?.close();
    listener.pause = setTimeout(() => this.#watch(listener), PAUSE_MS);
  }

  #closeAll(): void {
    for (const { descriptor, watcher, pause, file } of this.#listeners) {
      if (pause !== null) clearTimeout(pause);
      watcher?.close();
      closeSync(descriptor);
      file?.remove();
    }
    this.#listeners = [];
  }
}

type InetEntry = Extract<ListenEntry, { kind: 'inet' }>;

/** One listener for each address, all of one port. */
function listenOnEach(addresses: readonly string[], entry: InetEntry): number[] {
  for (let tries = 1; ; tries++) {
    try {
      return tryEach(addresses, entry);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (entry.port === 0 && code === 'EADDRINUSE' && tries < PORT_TRIES) continue;
      const address = { host: entry.host, port: entry.port };
      const sentence = messages.cannotListen(where(address), reasonOf(error), remedyFor(code));
      throw new BgworkerError('ERR_LISTEN_FAILED', sentence, { cause: error });
    }
  }
}

function tryEach(addresses: readonly string[], { port, backlog }: InetEntry): number[] {
  const opened: number[] = [];
  let chosen = port;
  let skipped: unknown = new Error('it has no address');
  for (const address of addresses) {
    try {
      const descriptor = native.listenInet(address, chosen, backlog);
      opened.push(descriptor);
      const name = native.listenerName(descriptor);
      if (name.kind === 'inet') chosen = name.port;
    } catch (error) {
      if (!SKIPPED.has((error as NodeJS.ErrnoException).code ?? '')) {
        for (const descriptor of opened) closeSync(descriptor);
        throw error;
      }
      skipped = error;
    }
  }
  if (opened.length === 0) throw skipped;
  return opened;
}
