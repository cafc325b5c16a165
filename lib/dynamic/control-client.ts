// control-client.ts: a client's end of the control socket. It connects at the first question, and is
// a reason to live only while an answer or news are waited for.
//
// Its end is the postmaster's: it does not connect again, because whoever answers then is another
// one. Or the postmaster has cut it off, with a reason, and then the next question may try anew.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BgworkerError } from '../errors.ts';
import { sentenceOf } from '../messages.ts';
import type { Answers, ControlReply, ControlRequest } from '../travel/control.ts';
import { ControlPath } from '../travel/control-path.ts';
import { encodeHead, FrameReader } from '../travel/frames.ts';
import * as messages from './messages.ts';
import type { ControlPort, PortListener, Question } from './port.ts';

export interface ControlClientOptions {
  readonly dataDirectory: string;
  /** null: whichever postmaster has the directory. */
  readonly instance: string | null;
}

interface Asked {
  answered(value: unknown): void;
  refused(error: BgworkerError): void;
}

type Course =
  | { readonly kind: 'unconnected' }
  | { readonly kind: 'open'; readonly socket: Socket }
  /** null: the postmaster is dead. */
  | { readonly kind: 'ended'; readonly why: BgworkerError | null };

export class ControlClient implements ControlPort {
  readonly #options: ControlClientOptions;
  #reader = new FrameReader();
  readonly #asked = new Map<number, Asked>();
  #listener: PortListener | null = null;
  #course: Course = { kind: 'unconnected' };
  #lastId = 0;
  #holds = 0;
  /** What the postmaster said, or the system, before the end. */
  #farewell: BgworkerError | null = null;
  #trouble: unknown;

  constructor(options: ControlClientOptions) {
    this.#options = options;
  }

  listen(listener: PortListener): void {
    this.#listener = listener;
  }

  ask<Name extends keyof Answers, Value>(
    question: Question<Name>,
    body: Uint8Array | null,
    answered: (answer: Answers[Name]) => Value,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      const socket = this.#connect();
      const id = ++this.#lastId;
      this.#asked.set(id, {
        answered: (value) => resolve(answered(value as Answers[Name])),
        refused: reject,
      });
      this.hold();
      this.#write(socket, { id, ...question }, body);
    });
  }

  hold(): void {
    this.#holds++;
    if (this.#holds === 1 && this.#course.kind === 'open') this.#course.socket.ref();
  }

  release(): void {
    this.#holds--;
    if (this.#holds === 0 && this.#course.kind === 'open') this.#course.socket.unref();
  }

  /** It is not needed any more: resolves when its socket is closed. */
  async close(): Promise<void> {
    if (this.#course.kind !== 'open') return;
    const { socket } = this.#course;
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
  }

  /** @throws BgworkerError if it has ended, or there is no postmaster */
  #connect(): Socket {
    if (this.#course.kind === 'open') return this.#course.socket;
    if (this.#course.kind === 'ended' && this.#course.why === null) throw this.#died();
    this.#reader = new FrameReader();
    this.#farewell = null;
    const { dataDirectory, instance } = this.#options;
    const socket = this.#open(dataDirectory);
    this.#course = { kind: 'open', socket };
    if (instance !== null) this.#write(socket, { do: 'hello', instance }, null);
    return socket;
  }

  #open(dataDirectory: string): Socket {
    let path: ControlPath;
    try {
      path = new ControlPath(dataDirectory);
    } catch (error) {
      this.#trouble = error;
      throw this.#died();
    }
    const socket = connect({ path: path.path });
    socket.once('connect', () => path[Symbol.dispose]());
    socket.on('data', (chunk) => this.#hear(chunk));
    socket.on('error', (error) => {
      this.#trouble = error;
    });
    socket.on('close', () => {
      path[Symbol.dispose]();
      this.#end();
    });
    return socket;
  }

  #write(socket: Socket, request: { id?: number } & ControlRequest, body: Uint8Array | null): void {
    const head = encodeHead(request, body?.length ?? 0);
    if (body === null || body.length === 0) {
      socket.write(head);
      return;
    }
    // As one system call.
    socket.cork();
    socket.write(head);
    socket.write(body);
    socket.uncork();
  }

  #hear(chunk: Buffer): void {
    this.#reader.push(chunk);
    for (let piece = this.#reader.next(); piece !== null; piece = this.#reader.next()) {
      if (piece.kind === 'header') this.#take(JSON.parse(piece.text) as ControlReply);
    }
  }

  #take(reply: ControlReply): void {
    switch (reply.kind) {
      case 'answer':
        return this.#settle(reply.id)?.answered(reply.value);
      case 'refusal':
        return this.#settle(reply.id)?.refused(new BgworkerError(reply.code, reply.message));
      case 'news':
        return this.#listener?.news(reply);
      case 'farewell': {
        const sentence = messages.cutOffBecause(reply.message);
        this.#farewell = new BgworkerError('ERR_CONTROL_SOCKET', sentence);
        return;
      }
    }
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    if (asked === undefined) return undefined;
    this.#asked.delete(id);
    this.release();
    return asked;
  }

  #end(): void {
    const why = this.#farewell;
    this.#course = { kind: 'ended', why };
    for (const id of this.#asked.keys()) this.#settle(id)?.refused(why ?? this.#died());
    this.#listener?.ended(why);
  }

  #died(): BgworkerError {
    const cause = this.#trouble;
    const because = cause === undefined ? '' : ` (${sentenceOf(cause)})`;
    const sentence = `${messages.postmasterDied}${because}`;
    return new BgworkerError('ERR_POSTMASTER_DIED', sentence, { cause });
  }
}
