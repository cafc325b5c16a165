// control.ts: all that the postmaster has for those who ask it for something while it runs: the
// registrar, the socket on which others reach it, and the way of its own program.

import { DynamicWorkers } from '../dynamic/dynamic-workers.ts';
import type { Event } from '../model/event.ts';
import type { State } from '../model/state.ts';
import type { ControlPlace } from '../travel/control.ts';
import { Arguments } from './argument.ts';
import { ControlSocket } from './control-socket.ts';
import { LocalPort } from './local-port.ts';
import { Registrar } from './registrar.ts';

export interface ControlOptions {
  readonly dataDirectory: string;
  readonly slotCount: number;
  state(): State;
  post(event: Event): void;
  /** A client that was cut off, and the like. */
  log(sentence: string): void;
}

export class Control {
  /** Of the dynamic workers, for who starts them. */
  readonly arguments = new Arguments();
  /** Those of the postmaster's own program. */
  readonly dynamic: DynamicWorkers;
  readonly #registrar: Registrar;
  readonly #socket: ControlSocket;

  /** @throws BgworkerError ERR_DATA_DIRECTORY */
  constructor({ dataDirectory, slotCount, state, post, log }: ControlOptions) {
    this.#registrar = new Registrar({ arguments: this.arguments, state, post });
    this.dynamic = new DynamicWorkers(new LocalPort(this.#registrar));
    this.#socket = new ControlSocket({
      dataDirectory,
      slotCount,
      registrar: this.#registrar,
      log,
    });
  }

  get place(): ControlPlace {
    return this.#socket.place;
  }

  /** After each event of the loop. */
  changed(event: Event, before: State, after: State): void {
    this.#registrar.changed(event, before, after);
  }

  /** Everything is ended. */
  close(): void {
    this.#socket.close();
    this.arguments.close();
  }
}
