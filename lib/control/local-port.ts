// local-port.ts: the postmaster's own program as a client of its postmaster: the same questions and
// answers, without a socket in between. It keeps its process alive by itself, so there is nothing
// to hold.

import type { ControlPort, PortListener, Question } from '../dynamic/port.ts';
import { BgworkerError, type ErrorCode } from '../errors.ts';
import type { Answers, News } from '../travel/control.ts';
import { argumentOf } from './argument.ts';
import type { Client, Registrar } from './registrar.ts';
import { requestOf } from './request.ts';

interface Asked {
  answered(value: unknown): void;
  refused(error: BgworkerError): void;
}

export class LocalPort implements ControlPort, Client {
  readonly #registrar: Registrar;
  readonly #asked = new Map<number, Asked>();
  #listener: PortListener | null = null;
  #lastId = 0;

  constructor(registrar: Registrar) {
    this.#registrar = registrar;
  }

  listen(listener: PortListener): void {
    this.#listener = listener;
  }

  hold(): void {}

  release(): void {}

  ask<Name extends keyof Answers, Value>(
    question: Question<Name>,
    body: Uint8Array | null,
    answered: (answer: Answers[Name]) => Value,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const parsed = requestOf({ id, ...question });
      if (parsed.kind === 'nonsense' || parsed.request.do === 'hello') {
        throw new Error(`a question of our own is none: ${JSON.stringify(question)}`);
      }
      const argument = body === null ? null : argumentOf(body);
      this.#asked.set(id, {
        answered: (value) => resolve(answered(value as Answers[Name])),
        refused: reject,
      });
      this.#registrar.ask(this, parsed.request, argument);
    });
  }

  answer(id: number, value: unknown): void {
    this.#settle(id)?.answered(value);
  }

  refuse(id: number, code: ErrorCode, message: string): void {
    this.#settle(id)?.refused(new BgworkerError(code, message));
  }

  hear(news: News): void {
    this.#listener?.news(news);
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    return asked;
  }
}
