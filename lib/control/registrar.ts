// registrar.ts: what the postmaster does for its clients: it registers and terminates workers for
// them, and says how those stand (RegisterDynamicBackgroundWorker and the rest of its family).
//
// It decides nothing. A registration becomes an event, and what the policy made of it is read off
// the states before and after; a status is read off the state. It stands between the clients, of
// which it believes nothing, and the loop.

import { changedSlot } from '../changes.ts';
import { BgworkerError, type ErrorCode } from '../errors.ts';
import { tooManyParallelWorkers, tooManyWorkers } from '../messages.ts';
import type { Event } from '../model/event.ts';
import { statusOf } from '../model/handle.ts';
import { type Place, placeFor } from '../model/place.ts';
import type { Registration } from '../model/registration.ts';
import { unreachable } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { checkRegistration } from '../register/check.ts';
import { type Answers, type News, travelling } from '../travel/control.ts';
import { type Argument, type Arguments, discard } from './argument.ts';
import { workerList } from './list.ts';
import * as messages from './messages.ts';
import type { Request } from './request.ts';
import { Watches } from './watches.ts';

/** Who asks: a connection of the control socket, or the postmaster's own program. */
export interface Client {
  answer(id: number, value: Answers[keyof Answers]): void;
  refuse(id: number, code: ErrorCode, message: string): void;
  hear(news: News): void;
}

export interface RegistrarOptions {
  readonly arguments: Arguments;
  state(): State;
  post(event: Event): void;
}

/** A registration that is posted and not applied yet. */
interface Ticket {
  /** null: it has left meanwhile. */
  readonly client: Client | null;
  readonly id: number;
  readonly argument: Argument | null;
}

export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #watches = new Watches<Client>();
  readonly #tickets = new Map<number, Ticket>();
  #lastTicket = 0;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** Answers, now or when the policy has spoken. The argument is its own from here on. */
  ask(client: Client, request: Exclude<Request, { do: 'hello' }>, argument: Argument | null): void {
    const { id } = request;
    const { post, state } = this.#options;
    switch (request.do) {
      case 'register':
        this.#register(client, { client, id, argument }, request.options);
        return;
      case 'terminate':
        post({ kind: 'terminate', ...request.handle });
        client.answer(id, null);
        return;
      case 'watch':
        this.#watches.add(client, request.handle, state());
        client.answer(id, statusOf(state(), request.handle));
        return;
      case 'status':
        client.answer(id, statusOf(state(), request.handle));
        return;
      case 'workers':
        client.answer(id, workerList(state(), performance.now()));
        return;
      default:
        return unreachable(request);
    }
  }

  /** After each event: who waits for what came of it is told. */
  changed(event: Event, before: State, after: State): void {
    if (event.kind === 'registered') this.#applied(event.ticket, event.registration, before, after);
    if (before.workers === after.workers) return;
    const exit = event.kind === 'exited' ? event.exit.cause : null;
    for (const { client, news } of this.#watches.changed(changedSlot(event), after, exit)) {
      client.hear(news);
    }
  }

  /** The client is gone, and so is whom it wanted to be told. Its workers live on. */
  leave(client: Client): void {
    this.#watches.leave(client);
    for (const [number, ticket] of this.#tickets) {
      if (ticket.client === client) this.#tickets.set(number, { ...ticket, client: null });
    }
  }

  /** How many statuses are watched, for tests. */
  get watchCount(): number {
    return this.#watches.size;
  }

  #register(client: Client, ticket: Ticket, options: unknown): void {
    let registration: Registration;
    try {
      registration = checkRegistration(options, { kind: 'dynamic' });
    } catch (error) {
      discard(ticket.argument);
      const { code, message } = error as BgworkerError;
      client.refuse(ticket.id, code, message);
      return;
    }
    this.#lastTicket++;
    this.#tickets.set(this.#lastTicket, ticket);
    this.#options.post({ kind: 'registered', ticket: this.#lastTicket, registration });
  }

  #applied(number: number, registration: Registration, before: State, after: State): void {
    const ticket = this.#tickets.get(number);
    if (ticket === undefined) return;
    this.#tickets.delete(number);
    const { client, id, argument } = ticket;
    const place = placeFor(before, registration);
    const worker = place.kind === 'slot' ? after.workers.get(place.slot) : undefined;
    if (worker === undefined) {
      discard(argument);
      const { code, message } = refusalOf(place, registration, before);
      client?.refuse(id, code, message);
      return;
    }
    if (argument !== null) this.#options.arguments.keep(worker.slot, argument);
    if (client === null) return;
    this.#watches.add(client, worker, after);
    client.answer(id, travelling(worker));
  }
}

function refusalOf(place: Place, { name }: Registration, { limits }: State): BgworkerError {
  switch (place.kind) {
    case 'no slot':
      return new BgworkerError('ERR_TOO_MANY_WORKERS', tooManyWorkers(name, limits.slotCount));
    case 'no parallel slot': {
      const sentence = tooManyParallelWorkers(name, limits.parallelCount);
      return new BgworkerError('ERR_TOO_MANY_WORKERS', sentence);
    }
    case 'too early':
      return new BgworkerError('ERR_WRONG_STATE', messages.tooEarly);
    case 'slot':
      // There was one, and nobody took it: the last turn is over.
      return new BgworkerError('ERR_WRONG_STATE', messages.tooLate);
    default:
      return unreachable(place);
  }
}
