// outsider.ts: the test itself as a client of a postmaster's control socket, as the command line is
// one; and a bare connection, for what no client of ours would say.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ControlClient } from '../../lib/dynamic/control-client.ts';
import { DynamicWorkers } from '../../lib/dynamic/dynamic-workers.ts';
import type { BackgroundWorkerHandle } from '../../lib/dynamic/handle.ts';
import {
  CONTROL_SOCKET_NAME,
  type ControlReply,
  type ListedWorker,
} from '../../lib/travel/control.ts';
import { encodeHead, FrameReader } from '../../lib/travel/frames.ts';
import { fixture } from './program.ts';

export interface Somewhere {
  readonly dataDirectory: string;
}

export class Outsider {
  readonly #client: ControlClient;
  readonly #dynamic: DynamicWorkers;

  constructor({ dataDirectory }: Somewhere) {
    this.#client = new ControlClient({ dataDirectory, instance: null });
    this.#dynamic = new DynamicWorkers(this.#client);
    onTestFinished(() => this.leave());
  }

  /** A function of test/fixtures/process/roles. */
  register(
    role: string,
    options: Readonly<Record<string, unknown>> = {},
    waitOptions: { readonly signal?: AbortSignal } = {},
  ): Promise<BackgroundWorkerHandle> {
    const [file, name] = role.split('.');
    return this.#dynamic.register(
      {
        name,
        module: fixture(`roles/${file}.js`),
        function: name,
        restartTime: 'never',
        ...options,
      },
      waitOptions,
    );
  }

  async workers(): Promise<readonly ListedWorker[]> {
    return this.#client.ask({ do: 'workers' }, null, ({ workers }) => workers);
  }

  /** Its notifications end. */
  leave(): Promise<void> {
    return this.#client.close();
  }
}

/** A connection of which the test writes every byte. */
export class Wire {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #reader = new FrameReader();
  readonly #replies: ControlReply[] = [];
  #wake = () => {};

  constructor({ dataDirectory }: Somewhere) {
    this.socket = connect(join(dataDirectory, CONTROL_SOCKET_NAME));
    this.closed = once(this.socket, 'close');
    this.socket.on('error', () => {}); // To be cut off is what it is here for.
    this.socket.on('data', (chunk) => {
      this.#reader.push(chunk);
      for (let piece = this.#reader.next(); piece !== null; piece = this.#reader.next()) {
        if (piece.kind === 'header') this.#replies.push(JSON.parse(piece.text) as ControlReply);
      }
      this.#wake();
    });
    this.socket.on('close', () => this.#wake());
    onTestFinished(() => void this.socket.destroy());
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  send(header: object, body?: Uint8Array): void {
    this.write(encodeHead(header, body?.length ?? 0));
    if (body !== undefined) this.write(body);
  }

  /** null: it was closed before one came. */
  async reply(): Promise<ControlReply | null> {
    while (this.#replies.length === 0 && !this.socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#replies.shift() ?? null;
  }
}
