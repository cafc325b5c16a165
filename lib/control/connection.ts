// connection.ts: one client of the control socket. It reads frames, hands requests on one after the
// other, and writes what comes of them.
//
// What a client can make it hold is bounded (limits.ts): one frame's header, an argument that goes
// to a memory file, what was sent ahead of an answer. Who sends nonsense, stops in the middle or does
// not read is cut off, with a line in the log that says why.

import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.ts';
import { sentenceOf } from '../messages.ts';
import type { Answers, ControlReply, News } from '../travel/control.ts';
import { encodeHead, FrameReader, type Piece } from '../travel/frames.ts';
import { type Argument, ArgumentReceiver } from './argument.ts';
import { sayFarewell } from './farewell.ts';
import { AHEAD_MAX_BYTES, FRAME_PATIENCE_MS, UNREAD_MAX_BYTES } from './limits.ts';
import * as messages from './messages.ts';
import type { Client } from './registrar.ts';
import { parseRequest, type Request } from './request.ts';

export interface ConnectionOwner {
  /** Of the postmaster that this is. */
  readonly instance: string;
  /** Answered by one call of answer() or refuse(). */
  ask(client: Client, request: Exclude<Request, { do: 'hello' }>, argument: Argument | null): void;
  /** Once. */
  left(client: Connection): void;
  log(sentence: string): void;
}

/** The frame that is being read: its request, and what becomes of its body. */
interface Incoming {
  readonly request: Request;
  readonly receiver: ArgumentReceiver | null;
  /** Why its body goes nowhere; the client is told when it is over. */
  readonly problem: string | null;
}

export class Connection implements Client {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #reader = new FrameReader();
  #incoming: Incoming | null = null;
  /** A question is not answered yet; what comes behind it waits. */
  #isAsking = false;
  #isAdvancing = false;
  /** It is gone, or it was told to go: nothing is read from it or written to it any more. */
  #isOver = false;

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    socket.on('data', (chunk) => {
      this.#reader.push(chunk);
      this.#advance();
    });
    socket.on('timeout', () => this.#cutOff(messages.tooSlow(FRAME_PATIENCE_MS / 1000)));
    // A client that dies is no news: it is gone, and 'close' says so.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isOver = true;
      this.#incoming?.receiver?.abandon();
      this.#incoming = null;
      owner.left(this);
    });
  }

  answer(id: number, value: Answers[keyof Answers]): void {
    this.#reply({ kind: 'answer', id, value });
    this.#answered();
  }

  refuse(id: number, code: ErrorCode, message: string): void {
    this.#reply({ kind: 'refusal', id, code, message });
    this.#answered();
  }

  hear(news: News): void {
    this.#reply({ kind: 'news', ...news });
  }

  /** The postmaster ends. */
  close(): void {
    this.#socket.destroy();
  }

  #answered(): void {
    this.#isAsking = false;
    if (this.#isOver) return;
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#advance();
  }

  /** Not within itself: a request that is answered at once goes on in the loop that asked it. */
  #advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    while (!this.#isAsking && !this.#isOver) {
      const piece = this.#reader.next();
      if (piece === null) break;
      this.#take(piece);
    }
    this.#isAdvancing = false;
    if (this.#isOver) return;
    if (this.#reader.heldBytes > AHEAD_MAX_BYTES) this.#socket.pause();
    const isWaiting = !this.#isAsking && this.#reader.isWithin;
    this.#socket.setTimeout(isWaiting ? FRAME_PATIENCE_MS : 0);
  }

  #take(piece: Piece): void {
    switch (piece.kind) {
      case 'garbage':
        return this.#cutOff(messages.notAFrame(piece.problem));
      case 'header': {
        const parsed = parseRequest(piece.text, piece.bodyBytes);
        if (parsed.kind === 'nonsense') {
          return this.#cutOff(messages.notARequest(parsed.problem));
        }
        this.#incoming = this.#expect(parsed.request, piece.bodyBytes);
        return;
      }
      case 'body':
        return this.#receive(piece.bytes);
      case 'end':
        return this.#whole();
    }
  }

  #expect(request: Request, bodyBytes: number): Incoming {
    if (bodyBytes === 0) return { request, receiver: null, problem: null };
    try {
      return { request, receiver: new ArgumentReceiver(bodyBytes), problem: null };
    } catch (error) {
      return { request, receiver: null, problem: messages.noRoomForArgument(sentenceOf(error)) };
    }
  }

  #receive(bytes: Buffer): void {
    const incoming = this.#incoming;
    if (incoming === null || incoming.receiver === null) return;
    try {
      incoming.receiver.write(bytes);
    } catch (error) {
      incoming.receiver.abandon();
      const problem = messages.noRoomForArgument(sentenceOf(error));
      this.#incoming = { ...incoming, receiver: null, problem };
    }
  }

  #whole(): void {
    if (this.#incoming === null) return;
    const { request, receiver, problem } = this.#incoming;
    this.#incoming = null;
    if (request.do === 'hello') {
      if (request.instance !== this.#owner.instance) this.#cutOff(messages.otherInstance);
      return;
    }
    this.#isAsking = true;
    if (problem !== null) this.refuse(request.id, 'ERR_CONTROL_SOCKET', problem);
    else this.#owner.ask(this, request, receiver?.finish() ?? null);
  }

  #reply(reply: ControlReply): void {
    if (this.#isOver) return;
    this.#socket.write(encodeHead(reply));
    if (this.#socket.writableLength > UNREAD_MAX_BYTES) {
      this.#cutOff(messages.doesNotRead(UNREAD_MAX_BYTES));
    }
  }

  #cutOff(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.log(messages.cutOff(why));
    sayFarewell(this.#socket, why);
  }
}
