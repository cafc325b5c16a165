// world.ts: processes that do not exist: a launcher, its children and a server, on a virtual clock.
//
// It stands where perform.ts stands. An action changes the world at once; what the postmaster
// hears of it is scheduled for later, in the order in which a kernel could deliver it. `isWell`
// false: anything may fail. true: forks succeed, nobody dies by himself, everybody obeys.

import type { Action } from '../../lib/model/action.ts';
import type { BackendRegistration } from '../../lib/model/clients.ts';
import type { Event, StaticWorker } from '../../lib/model/event.ts';
import type { Exit } from '../../lib/model/exit.ts';
import type { DatabaseState } from '../../lib/model/phase.ts';
import { isAttached, type Registration } from '../../lib/model/registration.ts';
import type { ChildId, EndingSignal, Standing } from '../../lib/model/standing.ts';
import type { State } from '../../lib/model/state.ts';
import type { Random } from './random.ts';

/** The longest that an answer or the death of a killed process takes. */
export const LATENCY_MAX_MS = 400;
/** Twice what the policy waits for. */
const BOOT_MAX_MS = 200;

interface Child {
  /** A worker's; of a backend null. */
  readonly slot: number | null;
  /** A backend's; of a worker null. */
  readonly place: number | null;
  readonly attached: boolean;
  /** Signals that it will not listen to. */
  readonly deafTo: ReadonlySet<EndingSignal>;
  isDying: boolean;
}

const EXITS: readonly [Exit['cause'], cleanDetach: boolean][] = [
  [{ kind: 'code', code: 0 }, true],
  [{ kind: 'code', code: 0 }, false],
  [{ kind: 'code', code: 1 }, true],
  [{ kind: 'code', code: 1 }, true],
  [{ kind: 'code', code: 1 }, false],
  [{ kind: 'code', code: 2 }, true],
  [{ kind: 'code', code: 255 }, false],
  [{ kind: 'signal', signal: 'SIGTERM' }, false],
  [{ kind: 'signal', signal: 'SIGSEGV' }, false],
];

/** Answers that a launcher takes along. */
const DIE_WITH_LAUNCHER = new Set<Event['kind']>([
  'forked',
  'backend-forked',
  'server-started',
  'memory-ready',
  'memory-failed',
  'startup-started',
  'startup-not-started',
  'startup-consistent',
  'startup-exited',
]);

const DONE: readonly [Exit['cause'], cleanDetach: boolean] = [{ kind: 'code', code: 0 }, true];

const lost: Exit = { cause: { kind: 'lost' }, cleanDetach: false, usage: null };

export class World {
  readonly #random: Random;
  readonly statics: readonly StaticWorker[];
  /** What the postmaster will hear, unsorted; few at any time. */
  #scheduled: { at: number; event: Event; arrive?: () => void }[] = [];
  readonly children = new Map<ChildId, Child>();
  launcher: 'none' | 'starting' | 'alive' = 'none';
  server: 'none' | 'preparing' | 'alive' = 'none';
  /** The preload modules have start-up hooks. */
  readonly hooks: boolean;
  memory: 'raw' | 'initializing' | 'ready' = 'raw';
  /** They have a startup process. */
  readonly startupProcess: boolean;
  startup: 'none' | 'starting' | 'running' | 'consistent' | 'ending' | 'done' = 'none';
  #startupDeafTo: ReadonlySet<EndingSignal> = new Set();
  /** How they serve clients. */
  readonly backend: BackendRegistration;
  doors: 'closed' | 'open' = 'closed';
  #connections = 0;
  isWell = false;
  now = 0;

  /** `mayStartUp`: no database moves the phases. */
  constructor(
    random: Random,
    {
      statics,
      backend,
      mayStartUp,
    }: {
      readonly statics: readonly StaticWorker[];
      readonly backend: BackendRegistration;
      readonly mayStartUp: boolean;
    },
  ) {
    this.#random = random;
    this.statics = statics;
    this.backend = backend;
    this.hooks = random.chance(0.5);
    this.startupProcess = mayStartUp && random.chance(0.9);
  }

  /** When the postmaster hears of something next. */
  get nextAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#scheduled) if (at < next) next = at;
    return next;
  }

  /** What it hears by now, oldest first. */
  arrived(): Event[] {
    if (this.nextAt > this.now) return [];
    const arrived = this.#scheduled.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at);
    this.#scheduled = this.#scheduled.filter(({ at }) => at > this.now);
    return arrived.map(({ event, arrive }) => {
      arrive?.();
      return event;
    });
  }

  perform(action: Action, state: State): void {
    switch (action.kind) {
      case 'start-launcher':
        this.#startLauncher();
        return;
      case 'fork':
        this.#fork(action.slot, action.child, state);
        return;
      case 'end-worker':
        this.#signal(state.workers.get(action.slot)?.standing, action.signal);
        return;
      case 'initialize-memory':
        this.#initializeMemory();
        return;
      case 'start-startup-process':
        this.#startStartup();
        return;
      case 'end-startup-process':
        this.#signalStartup(action.signal);
        return;
      case 'reset-memory':
        this.startup = 'none';
        this.memory = this.hooks || this.launcher !== 'alive' ? 'raw' : 'ready';
        return;
      case 'listen':
        this.#listen();
        return;
      case 'accept-connections':
        this.doors = 'open';
        return;
      case 'fork-backend':
        this.#forkBackend(action.place, action.child);
        return;
      case 'hand-over':
        this.#handOver(action.place, action.connection, state);
        return;
      case 'end-backend':
        this.#signal(state.clients.backends.get(action.place)?.standing, action.signal);
        return;
      case 'start-server':
        this.#startServer();
        return;
      case 'end-server':
        this.#signalServer(action.signal);
        return;
      default:
        return;
    }
  }

  /** The launcher dies, and its children with it, in any order of hearing of them. */
  killLauncher(): void {
    if (this.launcher !== 'alive') return;
    this.launcher = 'none';
    // Who was not yet answered for is not, or is said to have failed.
    this.#scheduled = this.#scheduled.filter(({ event }) => !DIE_WITH_LAUNCHER.has(event.kind));
    this.memory = 'raw';
    this.#later({ kind: 'launcher-exited' });
    for (const [child, one] of this.children) {
      this.children.delete(child);
      if (!one.isDying) this.#later(exitedEvent(child, one, lost));
    }
    if (this.server !== 'none') this.#serverGone();
    if (this.startup === 'running' || this.startup === 'consistent' || this.startup === 'ending') {
      this.#startupExits(lost);
    }
    // What was merely asked for has no end.
    else this.startup = 'none';
  }

  /** Its work goes on: a step towards the end of recovery, or, in a wild world, off the path. */
  moveStartup(): void {
    const isWild = !this.isWell && this.#random.chance(0.05);
    if (this.startup === 'running' && !isWild && this.#random.chance(0.7)) {
      this.startup = 'consistent';
      this.#later({ kind: 'startup-consistent' });
    } else if (this.startup === 'running' || this.startup === 'consistent') {
      const [cause, cleanDetach] = isWild ? this.#random.pick(EXITS) : DONE;
      this.#startupExits({ cause, cleanDetach, usage: null });
    }
  }

  /** A child ends by itself. */
  endSomebody(): void {
    const children = [...this.children].filter(([, one]) => !one.isDying);
    if (children.length === 0) return;
    const [child] = this.#random.pick(children);
    const [cause, cleanDetach] = this.#random.pick(EXITS);
    this.#dies(child, { cause, cleanDetach, usage: null });
  }

  /** Somebody connects. */
  connect(): void {
    if (this.doors !== 'open') return;
    const connection = ++this.#connections;
    const peer = { kind: 'inet', address: '127.0.0.1', port: connection % 65_536 } as const;
    this.#later({ kind: 'connected', connection, peer, isReserved: this.#random.chance(0.2) });
  }

  /** Every client that is served says goodbye, and its backend is done. */
  clientsLeave(state: State): void {
    for (const { client, standing } of state.clients.backends.values()) {
      const one = this.children.get(standing.child);
      if (client === null || one === undefined || one.isDying) continue;
      this.#dies(standing.child, {
        cause: { kind: 'code', code: 0 },
        cleanDetach: true,
        usage: null,
      });
    }
  }

  killServer(): void {
    if (this.server === 'alive') this.#serverGone();
  }

  /** One follower speaks, so what it says later is heard later. */
  database(state: DatabaseState): void {
    this.#scheduled = this.#scheduled.filter(({ event }) => event.kind !== 'database');
    this.#later({ kind: 'database', state, detail: null });
  }

  #later(event: Event, arrive?: () => void): void {
    const at = this.now + this.#random.next() * LATENCY_MAX_MS;
    this.#scheduled.push(arrive === undefined ? { at, event } : { at, event, arrive });
  }

  #startLauncher(): void {
    this.launcher = 'starting';
    if (!this.isWell && this.#random.chance(0.01)) {
      this.#later({ kind: 'launcher-failed', error: new Error('preload') });
      return;
    }
    const { statics: workers, hooks: startupHooks, startupProcess } = this;
    // The two are said in one breath.
    const at = this.now + this.#random.next() * LATENCY_MAX_MS;
    this.#scheduled.push({
      at,
      event: { kind: 'backend-announced', registration: this.backend },
    });
    const event: Event = {
      kind: 'launcher-ready',
      pid: 2,
      workers,
      startupHooks,
      startupProcess,
    };
    const arrive = () => {
      this.launcher = 'alive';
      this.memory = startupHooks ? 'raw' : 'ready';
    };
    this.#scheduled.push({ at, event, arrive });
  }

  #initializeMemory(): void {
    // The launcher may be dead without anybody having heard of it: then nothing comes of it.
    if (this.launcher !== 'alive') return;
    this.memory = 'initializing';
    if (!this.isWell && this.#random.chance(0.01)) {
      this.#later({ kind: 'memory-failed', error: new Error('hook') });
      return;
    }
    this.#later({ kind: 'memory-ready' }, () => {
      this.memory = 'ready';
    });
  }

  #startStartup(): void {
    if (this.launcher !== 'alive') return; // Its death is on the way.
    if (!this.isWell && this.#random.chance(0.01)) {
      this.#later({ kind: 'startup-not-started', call: 'fork', why: 'EAGAIN' });
      return;
    }
    const deafTo = new Set<EndingSignal>();
    if (!this.isWell && this.#random.chance(0.2)) deafTo.add('SIGTERM');
    if (!this.isWell && this.#random.chance(0.2)) deafTo.add('SIGQUIT');
    this.#startupDeafTo = deafTo;
    this.startup = 'starting';
    this.#later({ kind: 'startup-started', pid: 4 }, () => {
      this.startup = 'running';
    });
  }

  #signalStartup(signal: EndingSignal): void {
    // It is gone, which is not known yet.
    if (this.startup !== 'running' && this.startup !== 'consistent') return;
    if (signal !== 'SIGKILL' && this.#startupDeafTo.has(signal)) return;
    this.#startupExits({
      cause:
        signal === 'SIGKILL'
          ? { kind: 'signal', signal }
          : { kind: 'code', code: signal === 'SIGTERM' ? 1 : 2 },
      cleanDetach: signal === 'SIGTERM',
      usage: null,
    });
  }

  #startupExits(exit: Exit): void {
    this.startup = 'ending';
    // What it said before is heard before.
    const said = this.#scheduled.find(({ event }) => event.kind === 'startup-consistent');
    const at = (said?.at ?? this.now) + this.#random.next() * LATENCY_MAX_MS;
    this.#scheduled.push({
      at,
      event: { kind: 'startup-exited', exit, said: null },
      arrive: () => {
        this.startup =
          exit.cause.kind === 'code' && exit.cause.code === 0 && exit.cleanDetach ? 'done' : 'none';
      },
    });
  }

  #fork(slot: number, child: ChildId, state: State): void {
    const fails = this.launcher !== 'alive' || (!this.isWell && this.#random.chance(0.1));
    if (fails) {
      this.#later({ kind: 'fork-failed', slot, child, call: 'fork', why: 'EAGAIN' });
      return;
    }
    const registration = state.workers.get(slot)?.registration as Registration;
    const attached = isAttached(registration);
    this.children.set(child, {
      slot,
      place: null,
      attached,
      deafTo: this.#deafness(),
      isDying: false,
    });
    const at = this.now + this.#random.next() * LATENCY_MAX_MS;
    this.#scheduled.push({ at, event: { kind: 'forked', slot, child, pid: 1000 + child } });
    // It may be stopped, or starved, and never say so.
    if (!this.isWell && this.#random.chance(0.1)) return;
    const upAt = at + this.#random.next() * BOOT_MAX_MS;
    this.#scheduled.push({ at: upAt, event: { kind: 'up', child } });
  }

  #forkBackend(place: number, child: ChildId): void {
    if (this.launcher !== 'alive' || (!this.isWell && this.#random.chance(0.1))) {
      this.#later({ kind: 'backend-not-forked', place, child, call: 'fork', why: 'EAGAIN' });
      return;
    }
    const attached = isAttached(this.backend);
    this.children.set(child, {
      slot: null,
      place,
      attached,
      deafTo: this.#deafness(),
      isDying: false,
    });
    this.#later({ kind: 'backend-forked', place, child, pid: 1000 + place });
  }

  /** What the postmaster learns of it at once, from its own system call. */
  #handOver(place: number, connection: number, state: State): void {
    const child = state.clients.backends.get(place)?.standing.child ?? 0;
    const one = this.children.get(child);
    const isTaken = one !== undefined && !(one.isDying && this.#random.chance(0.5));
    const kind = isTaken ? 'handed-over' : 'not-handed-over';
    this.#scheduled.push({ at: this.now, event: { kind, place, connection } });
    // Its end of the socket is closed, so one that lives leaves.
    if (!isTaken && one !== undefined && !one.isDying) {
      this.#dies(child, { cause: { kind: 'code', code: 0 }, cleanDetach: true, usage: null });
    }
  }

  #listen(): void {
    if (!this.isWell && this.#random.chance(0.02)) {
      this.#later({ kind: 'listen-failed', error: new Error('EADDRINUSE') });
      return;
    }
    this.#later({ kind: 'listening' });
  }

  #deafness(): Set<EndingSignal> {
    const deafTo = new Set<EndingSignal>();
    if (!this.isWell && this.#random.chance(0.15)) deafTo.add('SIGTERM');
    if (!this.isWell && this.#random.chance(0.15)) deafTo.add('SIGQUIT');
    return deafTo;
  }

  #signal(standing: Standing | undefined, signal: EndingSignal): void {
    if (standing === undefined || !('child' in standing)) throw new Error('signal to nobody');
    const child = this.children.get(standing.child);
    if (child === undefined || child.isDying) return; // It is gone, which is not known yet.
    if (signal !== 'SIGKILL' && child.deafTo.has(signal)) return;
    const code = signal === 'SIGTERM' ? this.#random.pick([0, 1]) : 2;
    const crashes = signal === 'SIGTERM' && !this.isWell && this.#random.chance(0.05);
    this.#dies(standing.child, {
      cause:
        signal === 'SIGKILL' || crashes
          ? { kind: 'signal', signal: 'SIGKILL' }
          : { kind: 'code', code },
      cleanDetach: signal === 'SIGTERM' && !crashes,
      usage: null,
    });
  }

  #dies(child: ChildId, exit: Exit): void {
    const one = this.children.get(child);
    if (one === undefined) return;
    one.isDying = true;
    // A child is never heard of before the answer to the request for it.
    const born = this.#scheduled.find(
      ({ event }) =>
        (event.kind === 'forked' || event.kind === 'backend-forked') && event.child === child,
    );
    const at = (born?.at ?? this.now) + this.#random.next() * LATENCY_MAX_MS;
    this.#scheduled.push({
      at,
      event: exitedEvent(child, one, exit),
      arrive: () => this.children.delete(child),
    });
  }

  #startServer(): void {
    this.server = 'preparing';
    this.#later({ kind: 'server-started', pid: 3 }, () => {
      if (this.server !== 'preparing') return;
      this.server = 'alive';
      this.database('primary');
    });
  }

  #signalServer(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
    if (this.server === 'none') return;
    if (this.server === 'preparing') {
      this.#scheduled = this.#scheduled.filter(({ event }) => event.kind !== 'server-started');
    } else if (signal !== 'SIGKILL' && !this.isWell && this.#random.chance(0.3)) return;
    this.#serverGone();
  }

  #serverGone(): void {
    this.server = 'none';
    this.#later({ kind: 'server-exited' });
  }
}

function exitedEvent(child: ChildId, { slot, place }: Child, exit: Exit): Event {
  return slot === null
    ? { kind: 'backend-exited', place: place ?? 0, child, exit }
    : { kind: 'exited', slot, child, exit };
}
