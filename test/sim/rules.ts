// rules.ts: what must hold on every turn, whatever the world does. Written from the semantics,
// not from the code: it keeps books of its own and believes no state.

import type { Action } from '../../lib/model/action.ts';
import { isClientAction } from '../../lib/model/clients.ts';
import type { Event } from '../../lib/model/event.ts';
import type { Phase, StartTime } from '../../lib/model/phase.ts';
import type { Registration } from '../../lib/model/registration.ts';
import { unreachable } from '../../lib/model/standing.ts';
import type { Begin, Limits, State } from '../../lib/model/state.ts';
import { type Plan, plan } from '../../lib/schedule/plan.ts';
import { ClientRules } from './client-rules.ts';
import { isConnected, ServerBook } from './server-book.ts';
import { LATENCY_MAX_MS, type World } from './world.ts';

/** From each phase, where it may go. */
const EDGES: Readonly<Record<Phase, readonly Phase[]>> = {
  INIT: ['STARTUP', 'STOP_BACKENDS', 'WAIT_BACKENDS'],
  STARTUP: ['RECOVERY', 'HOT_STANDBY', 'RUN', 'STOP_BACKENDS', 'WAIT_BACKENDS'],
  RECOVERY: ['STARTUP', 'HOT_STANDBY', 'RUN', 'STOP_BACKENDS', 'WAIT_BACKENDS'],
  HOT_STANDBY: ['STARTUP', 'RECOVERY', 'RUN', 'STOP_BACKENDS', 'WAIT_BACKENDS'],
  RUN: ['STARTUP', 'RECOVERY', 'HOT_STANDBY', 'STOP_BACKENDS', 'WAIT_BACKENDS'],
  STOP_BACKENDS: ['WAIT_BACKENDS'],
  WAIT_BACKENDS: ['STARTUP', 'WAIT_XLOG_SHUTDOWN'],
  WAIT_XLOG_SHUTDOWN: ['NO_CHILDREN'],
  NO_CHILDREN: [],
};

const OPEN_IN: Readonly<Record<StartTime, readonly Phase[]>> = {
  PostmasterStart: ['INIT', 'STARTUP', 'RECOVERY', 'HOT_STANDBY', 'RUN'],
  ConsistentState: ['HOT_STANDBY', 'RUN'],
  RecoveryFinished: ['RUN'],
};

const STRENGTH = { SIGTERM: 1, SIGINT: 1, SIGQUIT: 2, SIGKILL: 3 } as const;

interface Book {
  readonly registration: Registration;
  generation: bigint;
  notBefore: number;
  /** Why it may be forgotten; null: it may not. */
  mayGo: string | null;
  /** How often the server had been lost when it was forked. */
  losses: number;
}

export class Rules {
  readonly #world: World;
  readonly #limits: Limits;
  readonly #books = new Map<number, Book>();
  readonly #told = new Map<number, number>();
  readonly #clients: ClientRules;
  readonly #server: ServerBook;
  #forks = 0;
  #booting: { readonly child: number; readonly since: number } | null = null;
  #startupTold = 0;
  #stopBy = Number.POSITIVE_INFINITY;
  #isEnding = false;
  #lastGeneration = 0n;

  constructor(world: World, limits: Limits, follows: Begin['follows']) {
    this.#world = world;
    this.#limits = limits;
    this.#server = new ServerBook(limits, follows);
    this.#clients = new ClientRules(world, this.#server, (rule) => this.broken(rule));
  }

  broken(rule: string): never {
    throw new Error(`rule broken: ${rule}`);
  }

  /** The clock jumped: nobody could act meanwhile. */
  jumped(ms: number): void {
    this.#stopBy += ms;
  }

  heard(event: Event, before: State, after: State, at: number): void {
    if (before.course === 'done') return;
    if (after.phase !== before.phase && event.kind !== 'done') this.broken('phase without action');
    if (after.shutdown !== null && after.shutdown !== before.shutdown) this.#boundStop(at);
    if (after.shutdown === null && before.shutdown !== null) this.broken('shutdown taken back');
    if (after.shutdown !== null) this.#isEnding = true;
    this.#clients.heard(event, before);
    this.#waitsForClients(before, after);
    for (const [slot, worker] of after.workers) {
      if (!before.workers.has(slot)) {
        this.#books.set(slot, {
          registration: worker.registration,
          generation: worker.generation,
          notBefore: at,
          mayGo: after.shutdown !== null ? 'shutdown' : null,
          losses: this.#server.losses,
        });
      }
    }
    this.#heardOfBoot(event, before, at);
    if (event.kind === 'registered') this.#registered(event.registration, before, after);
    if (event.kind === 'done' && event.action.kind === 'reset-memory') this.#renamed(after);
    if (this.#server.heard(event)) this.#hurry(at);
    if (event.kind === 'terminate') this.#terminated(event.slot, event.generation);
    if (event.kind === 'exited' || event.kind === 'fork-failed') {
      const standing = before.workers.get(event.slot)?.standing;
      const isPresent = standing && 'child' in standing && standing.child === event.child;
      if (isPresent) this.#ended(event, standing.kind, after, at);
    }
    if (event.kind === 'launcher-exited') {
      for (const [slot, { standing }] of before.workers) {
        if (standing.kind === 'forking') this.#failed(slot, at);
      }
    }
  }

  /** Who was forked last, until it is up or gone. */
  #heardOfBoot(event: Event, before: State, at: number): void {
    switch (event.kind) {
      case 'forked': {
        const standing = before.workers.get(event.slot)?.standing;
        const isAwaited = standing?.kind === 'forking' && standing.child === event.child;
        if (isAwaited) this.#booting = { child: event.child, since: at };
        return;
      }
      case 'up':
      case 'exited':
        if (this.#booting?.child === event.child) this.#booting = null;
        return;
      case 'launcher-exited':
        this.#booting = null;
        return;
      default:
    }
  }

  willDo(action: Action, state: State): void {
    if (action.kind === 'end-backend') {
      this.#stronger(this.#mayEndBackend(action.place, state), STRENGTH[action.signal]);
    }
    if (action.kind === 'fork-backend' && !this.#isStartedUpFor('ConsistentState')) {
      this.broken('a backend before its time');
    }
    if (isClientAction(action)) return this.#clients.willDo(action, state);
    switch (action.kind) {
      case 'fork':
        this.#mayFork(action.slot, action.child, state);
        return;
      case 'end-worker': {
        const standing = state.workers.get(action.slot)?.standing;
        if (standing?.kind !== 'running' && standing?.kind !== 'stopping') {
          this.broken('a signal to one without a process');
        }
        this.#mayEnd(action.slot, standing.child, state);
        this.#stronger(standing.child, STRENGTH[action.signal]);
        return;
      }
      case 'start-startup-process':
        this.#mayStartUp(state);
        this.#startupTold = 0;
        return;
      case 'end-startup-process':
        if (STRENGTH[action.signal] <= this.#startupTold) this.broken('told twice, or weaker');
        if (state.shutdown === null && state.crash.kind === 'none') {
          this.broken('the startup process is ended without a reason');
        }
        this.#startupTold = STRENGTH[action.signal];
        return;
      case 'enter':
        if (!EDGES[state.phase].includes(action.phase)) {
          this.broken(`${state.phase} to ${action.phase}`);
        }
        return;
      case 'initialize-memory':
        this.#mayInitialize(state);
        return;
      case 'reset-memory':
        this.#mayReset(state);
        return;
      case 'forget':
        this.#mayForget(action.slot);
        return;
      case 'finish':
        if (this.#world.children.size > 0) this.broken('a child outlives the end');
        if (this.#world.server !== 'none') this.broken('the server outlives the end');
        if (this.#startsUp()) this.broken('the startup process outlives the end');
        return;
      case 'start-launcher':
        if (this.#world.launcher !== 'none') this.broken('a second launcher');
        if (this.#world.children.size > 0) this.broken('children of a dead launcher live');
        return;
      case 'start-server':
        if (this.#world.server !== 'none') this.broken('a second server');
        return;
      case 'end-launcher':
        return this.broken('a launcher that answers is killed');
      case 'end-server':
      case 'reload':
        return;
      default:
        return unreachable(action);
    }
  }

  /** After each turn. */
  turned(state: State, { actions, wakeAt }: Plan, now: number): void {
    if (actions.filter(({ kind }) => kind === 'fork').length > 1)
      this.broken('two forks in a turn');
    if (now > this.#stopBy && state.course !== 'done') this.broken('the stop takes too long');
    const children = new Set<number>();
    for (const [slot, worker] of state.workers) {
      if (worker.slot !== slot) this.broken('a worker in another slot');
      if (this.#books.get(slot)?.generation !== worker.generation)
        this.broken('a worker unheard of');
      const { standing } = worker;
      if (!('child' in standing)) continue;
      if (children.has(standing.child)) this.broken('one child, two workers');
      children.add(standing.child);
    }
    for (const [place, backend] of state.clients.backends) {
      if (backend.place !== place) this.broken('a backend in another place');
      if (children.has(backend.standing.child)) this.broken('one child, two backends');
      children.add(backend.standing.child);
    }
    this.#clients.turned(state, actions.length === 0);
    if (this.#books.size !== state.workers.size) this.broken('a worker is lost');
    for (const [child, { isDying }] of this.#world.children) {
      if (!isDying && !children.has(child) && this.#world.launcher === 'alive') {
        this.broken('a child is nobody’s');
      }
    }
    if (actions.length === 0 && state.course !== 'done') this.#rests(state, now);
    if (actions.length > 0 || wakeAt === null) return;
    if (wakeAt <= now) this.broken('a wake-up in the past');
    if (plan(state, wakeAt).actions.length === 0) this.broken('a wake-up without a reason');
    const before = wakeAt - Math.min(1, (wakeAt - now) / 2);
    if (plan(state, before).actions.length > 0) this.broken('a wake-up that is too late');
  }

  /** The world is well and nothing is left to wait for: everybody who may run runs. */
  settled(state: State): void {
    this.#clients.settled(state);
    if (this.#world.startupProcess && this.#world.startup !== 'done') {
      this.broken('well, and yet not started up');
    }
    for (const { registration, standing, terminated } of state.workers.values()) {
      if (!terminated && standing.kind !== 'running') {
        this.broken(`${registration.name} is not running but ${standing.kind}`);
      }
    }
  }

  /** A smart shutdown is one only when the last client has left, or nobody waits for that any more. */
  #waitsForClients(before: State, after: State): void {
    if (before.shutdown !== null || after.shutdown?.mode !== 'smart') return;
    const isServing = before.phase === 'RUN' || before.phase === 'HOT_STANDBY';
    if (!isServing || after.crash.kind !== 'none') return;
    if (this.#clients.hasClients()) this.broken('clients are cut off');
  }

  #startsUp(): boolean {
    const { startup } = this.#world;
    return startup !== 'none' && startup !== 'done';
  }

  /** Who waits out its interval failed for want of a server, which is back. */
  #hurry(at: number): void {
    for (const book of this.#books.values()) {
      if (isConnected(book.registration)) book.notBefore = Math.min(book.notBefore, at);
    }
  }

  #hasLost({ registration, losses }: Book): boolean {
    return this.#server.isLostTo(registration, losses);
  }

  #mayEnd(slot: number, child: number, state: State): void {
    const book = this.#books.get(slot) as Book;
    const wasTold = this.#told.has(child);
    const isReason =
      state.shutdown !== null ||
      state.crash.kind !== 'none' ||
      book.mayGo === 'terminated' ||
      this.#hasLost(book);
    if (!isReason && !wasTold) this.broken('a worker is ended without a reason');
  }

  #mayEndBackend(place: number, state: State): number {
    const standing = state.clients.backends.get(place)?.standing;
    if (standing === undefined || standing.kind === 'forking') {
      this.broken('a signal to a backend without a process');
    }
    const { child } = standing;
    const isReason =
      state.shutdown !== null || state.crash.kind !== 'none' || this.#clients.hasLost(child);
    if (!isReason && !this.#told.has(child)) this.broken('a backend is ended without a reason');
    return child;
  }

  /** There is nothing to do now: so nobody must be left for whom there was. */
  #rests(state: State, now: number): void {
    for (const [slot, { standing }] of state.workers) {
      const book = this.#books.get(slot) as Book;
      if (standing.kind === 'running' && this.#hasLost(book)) {
        this.broken('a worker is left with a server that is lost');
      }
      if (standing.kind === 'due' && standing.notBefore > now && book.notBefore <= now) {
        this.broken('a worker waits for longer than it must');
      }
    }
    const isEnding = state.crash.kind !== 'none' || state.shutdown !== null;
    if (isEnding && state.startup.kind === 'running') this.broken('the startup process is left');
  }

  #mayStartUp(state: State): void {
    if (!this.#world.startupProcess) this.broken('a startup process that does not exist');
    if (this.#startsUp()) this.broken('a second startup process');
    if (this.#world.launcher === 'alive' && this.#world.startup === 'done') {
      this.broken('a startup process that is done');
    }
    if (this.#world.launcher === 'alive' && this.#world.memory !== 'ready') {
      this.broken('a startup process before memory is ready');
    }
    if (state.phase !== 'STARTUP') this.broken(`a startup process in ${state.phase}`);
    if (state.crash.kind !== 'none') this.broken('a startup process in a crash cycle');
    if (state.shutdown !== null) this.broken('a startup process in a shutdown');
  }

  /** Has the startup process come so far that this worker may run? Of a world that is alive. */
  #isStartedUpFor(startTime: StartTime): boolean {
    const { startupProcess, startup, launcher } = this.#world;
    if (!startupProcess || launcher !== 'alive' || startTime === 'PostmasterStart') return true;
    if (startup === 'done') return true;
    // 'ending': it was consistent, and its end is not heard of yet.
    return startTime === 'ConsistentState' && (startup === 'consistent' || startup === 'ending');
  }

  #boundStop(at: number): void {
    const { shutdownMs, quitMs } = this.#limits;
    // The answer to a fork, then each ladder to its end: the workers' and the startup process's,
    // which go side by side, then the server's.
    this.#stopBy = at + 2 * (shutdownMs + quitMs) + 8 * LATENCY_MAX_MS;
  }

  /** A place is given whenever there is one, and it is the first. */
  #registered(registration: Registration, before: State, after: State): void {
    const isOfTheClass = (one: Registration) => one.flags.includes('CLASS_PARALLEL');
    const free = Array.from({ length: this.#limits.slotCount }, (_, slot) => slot).filter(
      (slot) => !before.workers.has(slot),
    );
    let ofTheClass = 0;
    for (const one of before.workers.values()) if (isOfTheClass(one.registration)) ofTheClass++;
    const isTooMany = isOfTheClass(registration) && ofTheClass >= this.#limits.parallelCount;
    const slot = before.phase === 'INIT' || isTooMany ? undefined : free[0];
    if (slot === undefined) {
      if (after !== before) this.broken('a worker without a place');
      return;
    }
    const generation = after.workers.get(slot)?.generation ?? -1n;
    this.#newest(generation);
  }

  /** By a crash cycle: dynamic workers that are attached, and nobody else. */
  #renamed(after: State): void {
    for (const [slot, { generation, staticIndex, registration }] of after.workers) {
      const book = this.#books.get(slot) as Book;
      if (book.generation === generation) continue;
      if (staticIndex !== null) this.broken('a static worker of another generation');
      if (!registration.flags.includes('SHMEM_ACCESS')) {
        this.broken('a crash cycle that renames who has no part in it');
      }
      this.#newest(generation);
      book.generation = generation;
    }
  }

  #newest(generation: bigint): void {
    if (generation <= this.#lastGeneration) this.broken('a generation is used twice');
    this.#lastGeneration = generation;
  }

  #terminated(slot: number, generation: bigint): void {
    const book = this.#books.get(slot);
    if (book?.generation === generation) book.mayGo = 'terminated';
  }

  #ended(
    event: Extract<Event, { kind: 'exited' | 'fork-failed' }>,
    was: string,
    after: State,
    at: number,
  ) {
    const book = this.#books.get(event.slot) as Book;
    if (event.kind === 'fork-failed') {
      this.#failed(event.slot, at);
      return;
    }
    const { cause, cleanDetach } = event.exit;
    const isAttached = book.registration.flags.includes('SHMEM_ACCESS');
    const isOrderly = cause.kind === 'code' && cause.code <= 1 && (cleanDetach || !isAttached);
    const isVictim = this.#hasLost(book) && book.registration.restartTime !== 'never';
    if (isOrderly && isVictim && (was === 'stopping' || cause.code === 1)) {
      // It went with its server.
      book.notBefore = at;
    } else if (isOrderly && cause.code === 0) {
      if (book.registration.restartOnExit0) book.notBefore = at;
      else book.mayGo = 'exit 0';
    } else if (isOrderly || !isAttached) {
      this.#failed(event.slot, at);
      // It went with the launcher, and comes back with it.
      if (cause.kind === 'lost') book.notBefore = at;
    } else {
      // A crash of an attached one: the end of the cycle says when.
      book.notBefore = at;
      const isOurDoing = (this.#told.get(event.child) ?? 0) >= STRENGTH.SIGQUIT;
      if (!isOurDoing && after.crash.kind !== 'ending') this.broken('a crash without a cycle');
    }
  }

  #failed(slot: number, at: number): void {
    const book = this.#books.get(slot) as Book;
    const { restartTime } = book.registration;
    if (restartTime === 'never') book.mayGo = 'never restarted';
    else book.notBefore = at + restartTime * 1000;
  }

  #mayFork(slot: number, child: number, state: State): void {
    const book = this.#books.get(slot);
    const worker = state.workers.get(slot);
    if (book === undefined || worker?.standing.kind !== 'due') this.broken('a fork for nobody');
    if (!OPEN_IN[worker.registration.startTime].includes(state.phase)) this.broken('wrong phase');
    if (state.crash.kind !== 'none') this.broken('a start in a crash cycle');
    if (!this.#isStartedUpFor(worker.registration.startTime))
      this.broken('a start before its time');
    if (this.#server.isAway && worker.registration.startTime !== 'PostmasterStart') {
      this.broken('a start without the server');
    }
    const needsMemory = worker.registration.startTime !== 'PostmasterStart';
    if (needsMemory && this.#world.launcher === 'alive' && this.#world.memory !== 'ready') {
      this.broken('a start before memory is ready');
    }
    if (state.shutdown !== null) this.broken('a start in a shutdown');
    if (state.launcher.kind !== 'ready') this.broken('a start without a launcher');
    if (this.#world.now < book.notBefore) this.broken('a start before its interval');
    if (this.#booting !== null && this.#world.now < this.#booting.since + state.limits.bootMs) {
      this.broken('a start before the last one is up');
    }
    if (book.mayGo !== null) this.broken(`a start in spite of: ${book.mayGo}`);
    if (child <= this.#forks) this.broken('a child’s number is used twice');
    this.#forks = child;
    book.losses = this.#server.losses;
  }

  #stronger(child: number, strength: number): void {
    if ((this.#told.get(child) ?? 0) >= strength) this.broken('told twice the same, or weaker');
    this.#told.set(child, strength);
  }

  #mayInitialize(state: State): void {
    if (!this.#world.hooks) this.broken('hooks that do not exist are run');
    if (this.#world.launcher === 'alive' && this.#world.memory !== 'raw') {
      this.broken('memory is initialised twice');
    }
    if (state.phase !== 'STARTUP') this.broken(`memory is initialised in ${state.phase}`);
    if (state.crash.kind !== 'none') this.broken('memory is initialised in a crash cycle');
    if (state.shutdown !== null) this.broken('memory is initialised in a shutdown');
    for (const { attached } of this.#world.children.values()) {
      if (attached) this.broken('memory is initialised under a live child');
    }
  }

  #mayReset(state: State): void {
    if (this.#startsUp()) this.broken('memory goes under the startup process');
    for (const { attached } of this.#world.children.values()) {
      if (attached || state.launcher.kind === 'absent')
        this.broken('memory goes under a live child');
    }
    if (state.launcher.kind === 'absent' && this.#world.server !== 'none') {
      this.broken('the server of a dead launcher lives');
    }
    for (const [slot, book] of this.#books) {
      if (state.workers.get(slot)?.standing.kind !== 'due') continue;
      // Who has no part in shared memory has none in the cycle.
      if (!book.registration.flags.includes('SHMEM_ACCESS')) continue;
      book.notBefore = 0;
      if (book.registration.restartTime === 'never') book.mayGo = 'never restarted';
    }
  }

  #mayForget(slot: number): void {
    const book = this.#books.get(slot);
    if (book === undefined) this.broken('a slot is freed twice');
    if (book.mayGo === null && !this.#isEnding)
      this.broken('a worker is forgotten without a reason');
    this.#books.delete(slot);
  }
}
