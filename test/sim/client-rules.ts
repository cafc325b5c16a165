// client-rules.ts: what must hold of clients on every turn. Like rules.ts, whose part it is, it keeps
// books of its own, from what it saw arrive and what it saw done, and believes no state.

import type { ClientAction, Refusal } from '../../lib/model/clients.ts';
import type { Event } from '../../lib/model/event.ts';
import type { State } from '../../lib/model/state.ts';
import type { ServerBook } from './server-book.ts';
import type { World } from './world.ts';

interface Connection {
  readonly isReserved: boolean;
  /** 'asked': a process was asked for on its behalf; 'served': one has it. */
  fate: 'waits' | 'asked' | 'served' | 'refused';
}

export class ClientRules {
  readonly #world: World;
  readonly #server: ServerBook;
  readonly #broken: (rule: string) => never;
  readonly #connections = new Map<number, Connection>();
  /** Which connection each living child is for. */
  readonly #servedBy = new Map<number, number>();
  /** Whose process came to nothing, and that the launcher was the reason. */
  readonly #failed = new Map<number, Refusal>();
  /** How often the server had been lost when each living child was asked for. */
  readonly #losses = new Map<number, number>();
  #isListening = false;
  #isAccepting = false;
  #isStopRequested = false;

  constructor(world: World, server: ServerBook, broken: (rule: string) => never) {
    this.#world = world;
    this.#server = server;
    this.#broken = broken;
  }

  heard(event: Event, before: State): void {
    switch (event.kind) {
      case 'listening':
        this.#isListening = true;
        return;
      case 'stop':
      case 'lock-file-lost':
      case 'listen-failed':
      case 'launcher-failed':
      case 'memory-failed':
      case 'database-refused':
      case 'server-failed':
        this.#isStopRequested = true;
        return;
      case 'startup-not-started':
      case 'startup-exited':
        // A start without it is none; but in a crash cycle it has everything to do again anyway.
        if (before.crash.kind === 'none' && !isThrough(event)) this.#isStopRequested = true;
        return;
      case 'connected':
        if (!this.#isAccepting) this.#broken('a client before the doors are open');
        this.#connections.set(event.connection, { isReserved: event.isReserved, fate: 'waits' });
        return;
      case 'backend-not-forked':
        this.#release(event.child, 'cannotFork');
        return;
      case 'not-handed-over':
        this.#again(event.connection);
        return;
      case 'backend-exited':
        this.#gone(event.child);
        return;
      case 'launcher-exited':
        for (const { standing } of before.clients.backends.values()) {
          if (standing.kind === 'forking') this.#release(standing.child, 'inRecovery');
        }
        if (!before.limits.restartAfterCrash) this.#isStopRequested = true;
        return;
      default:
        if (before.crash.kind !== 'none' && !before.limits.restartAfterCrash) {
          this.#isStopRequested = true;
        }
    }
  }

  willDo(action: ClientAction, state: State): void {
    switch (action.kind) {
      case 'listen':
        if (this.#isListening) this.#broken('bound twice');
        return;
      case 'accept-connections':
        if (!this.#isListening || this.#isAccepting) this.#broken('doors opened out of order');
        if (state.launcher.kind !== 'ready') this.#broken('doors open, and nobody to serve');
        this.#isAccepting = true;
        return;
      case 'refuse':
        this.#mayRefuse(action.connection, action.reason, state);
        return;
      case 'fork-backend':
        this.#mayFork(action, state);
        return;
      case 'hand-over': {
        const child = state.clients.backends.get(action.place)?.standing.child;
        if (child === undefined || this.#servedBy.has(child)) {
          this.#broken('handed over to one that has a client');
        }
        this.#mayServe(action.connection, state);
        this.#serve(action.connection, child);
        return;
      }
      case 'end-backend':
        return;
    }
  }

  turned(state: State, isAtRest: boolean): void {
    const { limits, backends, arrivals } = state.clients;
    const spares = [...backends.values()].filter(
      ({ client, standing }) => client === null && standing.kind !== 'stopping',
    );
    if (spares.length > limits.spareBackends) this.#broken('more spare backends than asked for');
    if (this.#served() > limits.maxConnections) this.#broken('more clients than there are places');
    if (!isAtRest) return;
    for (const { standing } of backends.values()) {
      if (standing.kind === 'running' && this.hasLost(standing.child)) {
        this.#broken('a backend is left with a server that is lost');
      }
    }
    for (const { client } of arrivals) {
      const fate = this.#connections.get(client.connection)?.fate;
      if (fate !== 'waits') this.#broken('a connection waits that was dealt with');
      // The one reason to wait: what spare backends have is neither ready nor free yet.
      const isWaitedFor = [...backends.values()].some(
        (one) => one.client === null && one.standing.kind !== 'running',
      );
      if (!isWaitedFor || backends.size < limits.maxConnections) this.#broken('a client waits');
    }
    let waiting = 0;
    for (const { fate } of this.#connections.values()) if (fate === 'waits') waiting++;
    if (waiting !== arrivals.length) this.#broken('a connection is lost');
  }

  /** Everything is well, and has been for long enough. */
  settled(state: State): void {
    const { limits, backends, arrivals } = state.clients;
    if (arrivals.length > 0) this.#broken('a client waits in a world that is well');
    const spares = [...backends.values()].filter(({ client }) => client === null).length;
    const places = limits.maxConnections - (backends.size - spares);
    const isOpen = state.clients.smartSince === null && limits.maxConnections > 0;
    if (isOpen && spares !== Math.min(limits.spareBackends, places)) {
      this.#broken('spare backends are missing');
    }
  }

  /** Does a smart shutdown have somebody to wait for? */
  hasClients(): boolean {
    return this.#served() > 0;
  }

  /** Is this child to be ended with its server? */
  hasLost(child: number): boolean {
    return this.#server.isLostTo(this.#world.backend, this.#losses.get(child) ?? 0);
  }

  #served(): number {
    return this.#servedBy.size;
  }

  /** Those that are let in already and only wait for a process count as well. */
  #counted(): number {
    let counted = this.#served();
    for (const [connection, { fate }] of this.#connections) {
      if (fate === 'waits' && !this.#failed.has(connection)) counted++;
    }
    return counted;
  }

  #mayRefuse(connection: number, reason: Refusal, state: State): void {
    const known = this.#connections.get(connection);
    if (known?.fate !== 'waits') this.#broken('refused, and not waiting');
    known.fate = 'refused';
    const { phase, crash, launcher, clients, memory } = state;
    const isOpen = phase === 'RUN' || phase === 'HOT_STANDBY';
    const failed = this.#failed.get(connection);
    switch (reason) {
      case 'shuttingDown':
        if (!this.#isStopRequested && crash.kind === 'none') this.#broken('no shutdown, and yet');
        return;
      case 'inRecovery':
        if (failed === 'inRecovery' || crash.kind !== 'none' || phase === 'RECOVERY') return;
        if (phase === 'HOT_STANDBY' && !clients.registration?.allowInHotStandby) return;
        return this.#broken(`no recovery in ${phase}, and yet`);
      case 'cannotFork':
        if (failed !== 'cannotFork') this.#broken('no failure, and yet');
        return;
      case 'startingUp':
        if (isOpen && launcher.kind === 'ready' && memory === 'ready') this.#broken('it is up');
        return;
      case 'tooMany':
        if (this.#counted() < this.#placesFor(known, state)) this.#broken('there is a place');
        return;
    }
  }

  #mayServe(connection: number, state: State): void {
    const known = this.#connections.get(connection);
    if (known?.fate !== 'waits') this.#broken('served, and not waiting');
    if (this.#failed.has(connection)) this.#broken('served after all');
    if (this.#isStopRequested) this.#broken('served in a shutdown');
    if (state.crash.kind !== 'none') this.#broken('served in a crash cycle');
    if (state.phase !== 'RUN' && state.phase !== 'HOT_STANDBY') this.#broken('served too early');
    if (state.phase === 'HOT_STANDBY' && !state.clients.registration?.allowInHotStandby) {
      this.#broken('served in hot standby');
    }
    if (this.#served() >= this.#placesFor(known, state)) this.#broken('served beyond the limit');
  }

  #mayFork(
    { place, child, connection }: Extract<ClientAction, { kind: 'fork-backend' }>,
    state: State,
  ): void {
    if (place < 0 || place >= state.clients.limits.maxConnections) this.#broken('no such place');
    for (const [other, one] of this.#world.children) {
      if (one.place === place) this.#broken('two processes in one place');
      if (other === child) this.#broken('a number of a living child');
    }
    if (state.launcher.kind !== 'ready') this.#broken('a backend without a launcher');
    if (this.#world.launcher === 'alive' && this.#world.memory !== 'ready') {
      this.#broken('a backend before memory is ready');
    }
    if (this.#server.isAway) this.#broken('a backend without the server');
    this.#losses.set(child, this.#server.losses);
    if (connection === null) {
      if (this.#isStopRequested) this.#broken('a spare backend in a shutdown');
      return;
    }
    this.#mayServe(connection, state);
    this.#serve(connection, child);
  }

  #placesFor({ isReserved }: Connection, { clients }: State): number {
    const { maxConnections, reservedConnections } = clients.limits;
    return isReserved ? maxConnections : maxConnections - reservedConnections;
  }

  #serve(connection: number, child: number): void {
    const known = this.#connections.get(connection);
    if (known === undefined) this.#broken('nobody is served');
    known.fate = 'served';
    this.#servedBy.set(child, connection);
  }

  #gone(child: number): void {
    const connection = this.#servedBy.get(child);
    if (connection !== undefined) this.#connections.delete(connection);
    this.#servedBy.delete(child);
  }

  #release(child: number, why: Refusal): void {
    const connection = this.#servedBy.get(child);
    if (connection === undefined) return;
    this.#servedBy.delete(child);
    const known = this.#connections.get(connection);
    if (known !== undefined) known.fate = 'waits';
    this.#failed.set(connection, why);
  }

  #again(connection: number): void {
    const known = this.#connections.get(connection);
    if (known === undefined || known.fate !== 'served') return;
    known.fate = 'waits';
    for (const [child, served] of this.#servedBy) {
      if (served === connection) this.#servedBy.delete(child);
    }
  }
}

/** Has the startup process done all that it had to do? */
function isThrough(event: Event): boolean {
  if (event.kind !== 'startup-exited') return false;
  const { cause, cleanDetach } = event.exit;
  return cause.kind === 'code' && cause.code === 0 && cleanDetach;
}
