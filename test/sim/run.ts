// run.ts: one postmaster's whole life in a simulated world, from a seed.

import type { Event } from '../../lib/model/event.ts';
import type { Registration } from '../../lib/model/registration.ts';
import { initialState, type Limits, type State } from '../../lib/model/state.ts';
import { apply } from '../../lib/react/apply.ts';
import { plan } from '../../lib/schedule/plan.ts';
import { backendRegistration } from '../unit/policy/make-clients.ts';
import { Random } from './random.ts';
import { Rules } from './rules.ts';
import { World } from './world.ts';

/** How many turns the world is wild. */
const WILD_TURNS = 1_500;
/** No life takes longer than that after it. */
const CALM_TURNS_MAX = 3_000;
const LOG_TAIL = 120;

export interface Outcome {
  readonly turns: number;
  /** How often what happened, so that a test can see that it did. */
  readonly counts: ReadonlyMap<string, number>;
}

export class Life {
  readonly #random: Random;
  readonly #world: World;
  readonly #rules: Rules;
  readonly #limits: Limits;
  readonly #follows: 'nothing' | 'conninfo' | 'embedded';
  readonly #log: { readonly at: number; readonly event: Event }[] = [];
  readonly #counts = new Map<string, number>();
  #state: State;
  #turns = 0;
  #registered = 0;

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.#limits = {
      slotCount: 1 + random.below(10),
      parallelCount: random.below(4),
      shutdownMs: random.pick([0, 3_000, 60_000]),
      quitMs: 5_000,
      bootMs: random.pick([0, 100]),
      serverRestartMs: 1_000,
      restartAfterCrash: random.chance(0.9),
      restartOnServerLoss: random.chance(0.7),
    };
    const statics = Array.from(
      { length: random.below(this.#limits.slotCount + 1) },
      (_, index) => ({
        staticIndex: index,
        registration: this.#registration(),
      }),
    );
    this.#follows = random.pick(['nothing', 'conninfo', 'embedded'] as const);
    const maxConnections = random.pick([0, 1, 3, 8]);
    const reservedConnections = maxConnections > 1 ? random.below(2) : 0;
    const spareBackends = random.below(Math.min(maxConnections, 3) + 1);
    const backend = backendRegistration({
      flags: random.pick([
        [],
        ['SHMEM_ACCESS'],
        ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'],
      ] as const),
      allowInHotStandby: random.chance(0.7),
    });
    const mayStartUp = this.#follows === 'nothing';
    this.#world = new World(random, { statics, backend, mayStartUp });
    this.#rules = new Rules(this.#world, this.#limits, this.#follows);
    this.#state = initialState({
      limits: this.#limits,
      follows: this.#follows,
      clients: { maxConnections, reservedConnections, spareBackends },
    });
  }

  /** @throws with the last events, when a rule is broken */
  run(): Outcome {
    try {
      while (this.#turns < WILD_TURNS && this.#state.course !== 'done') {
        this.#trouble();
        if (!this.#turn()) this.#sleep();
      }
      this.#calm();
      if (this.#state.shutdown === null) this.#rules.settled(this.#state);
      this.#end();
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#tail()}`, { cause: error });
    }
    return { turns: this.#turns, counts: this.#counts };
  }

  /** One turn of the ServerLoop; false: there was nothing to do. */
  #turn(): boolean {
    this.#turns++;
    for (const event of this.#world.arrived()) this.#hear(event);
    const next = plan(this.#state, this.#world.now);
    for (const action of next.actions) {
      this.#rules.willDo(action, this.#state);
      this.#world.perform(action, this.#state);
      this.#hear({ kind: 'done', action });
    }
    this.#rules.turned(this.#state, next, this.#world.now);
    return next.actions.length > 0;
  }

  #hear(event: Event): void {
    const kind = event.kind === 'done' ? `done: ${event.action.kind}` : event.kind;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    this.#log.push({ at: this.#world.now, event });
    if (this.#log.length > 2 * LOG_TAIL) this.#log.splice(0, LOG_TAIL);
    const before = this.#state;
    this.#state = apply(before, { at: this.#world.now, event });
    this.#rules.heard(event, before, this.#state, this.#world.now);
  }

  /** Until something is due: the plan's wake-up, or something that is heard. */
  #sleep(patience = 20_000): boolean {
    const { wakeAt } = plan(this.#state, this.#world.now);
    const next = Math.min(wakeAt ?? Number.POSITIVE_INFINITY, this.#world.nextAt);
    const somethingElse = this.#world.now + this.#random.next() * patience;
    const until = Math.min(next, patience === 0 ? Number.POSITIVE_INFINITY : somethingElse);
    if (!Number.isFinite(until)) return false;
    this.#world.now = Math.max(this.#world.now, until);
    return true;
  }

  /** What a wild world does between two turns. */
  #trouble(): void {
    const random = this.#random;
    if (random.chance(0.3)) this.#world.connect();
    if (random.chance(0.55)) return;
    const dice = random.below(1000);
    if (dice < 320) this.#world.endSomebody();
    else if (dice < 520) this.#register();
    else if (dice < 600) this.#terminate();
    else if (dice < 680) this.#moveDatabase();
    else if (dice < 720) this.#hear({ kind: 'reload' });
    else if (dice < 740) this.#world.killServer();
    else if (dice < 760) this.#world.killLauncher();
    else if (dice < 800) this.#echo();
    else if (dice < 810) this.#jump();
    else if (dice < 812) this.#fatal();
    else this.#world.moveStartup();
  }

  #fatal(): void {
    const dice = this.#random.below(10);
    if (dice === 0) this.#hear({ kind: 'lock-file-lost' });
    else if (dice === 1) this.#hear({ kind: 'database-refused', error: new Error('no') });
    else this.#hear({ kind: 'stop', mode: this.#random.pick(['smart', 'fast', 'immediate']) });
  }

  #registration(): Registration {
    const random = this.#random;
    const isAttached = random.chance(0.5);
    const isConnected = isAttached && random.chance(0.5);
    const isParallel = random.chance(0.2);
    return {
      name: `w${this.#registered++}`,
      type: 'w',
      flags: [
        ...(isAttached ? (['SHMEM_ACCESS'] as const) : []),
        ...(isConnected ? (['BACKEND_DATABASE_CONNECTION'] as const) : []),
        ...(isParallel ? (['CLASS_PARALLEL'] as const) : []),
      ],
      // Whoever starts before memory is ready cannot be attached; register/check.ts refuses it.
      startTime: random.pick(
        isAttached
          ? (['ConsistentState', 'RecoveryFinished'] as const)
          : (['PostmasterStart', 'ConsistentState', 'RecoveryFinished'] as const),
      ),
      restartTime: isParallel ? 'never' : random.pick([0, 1, 5, 60, 3_600, 'never']),
      restartOnExit0: !isParallel && random.chance(0.2),
      launch: null,
      database: null,
      user: null,
      body: { kind: 'closure' },
    };
  }

  #register(): void {
    this.#hear({ kind: 'registered', ticket: 0, registration: this.#registration() });
  }

  #terminate(): void {
    const workers = [...this.#state.workers.values()];
    if (workers.length === 0) return;
    const { slot, generation } = this.#random.pick(workers);
    const stale = this.#random.chance(0.3) ? 1n : 0n;
    this.#hear({ kind: 'terminate', slot, generation: generation - stale });
  }

  #moveDatabase(): void {
    if (this.#follows === 'nothing') return;
    this.#world.database(
      this.#random.pick(['unreachable', 'recovering', 'standby', 'primary', 'primary']),
    );
  }

  /** Something is heard that belongs to a child of long ago, or to nobody. */
  #echo(): void {
    const { nextChild, limits } = this.#state;
    const child = this.#random.below(nextChild);
    if (this.#world.children.has(child)) return;
    for (const { standing } of this.#state.workers.values()) {
      if ('child' in standing && standing.child === child) return;
    }
    const slot = this.#random.below(limits.slotCount + 2);
    const exit = {
      cause: { kind: 'signal', signal: 'SIGSEGV' },
      cleanDetach: false,
      usage: null,
    } as const;
    this.#hear(
      this.#random.pick<Event>([
        { kind: 'exited', slot, child, exit },
        { kind: 'forked', slot, child, pid: 4 },
        { kind: 'up', child },
        { kind: 'fork-failed', slot, child, call: 'fork', why: 'late' },
      ]),
    );
  }

  /** The machine was suspended: hours are gone in which nobody could do anything. */
  #jump(): void {
    const ms = this.#random.next() * 10_000_000;
    this.#world.now += ms;
    this.#rules.jumped(ms);
  }

  /** Everything is well from here on; until nothing is left to wait for. */
  #calm(): void {
    this.#world.isWell = true;
    if (this.#follows !== 'nothing') this.#world.database('primary');
    for (const from = this.#turns; this.#state.course !== 'done'; ) {
      if (this.#turns - from > CALM_TURNS_MAX)
        this.#rules.broken('no rest in a world that is well');
      if (this.#turn() || this.#sleep(0)) continue;
      // A startup process that still has something to do does it now.
      this.#world.moveStartup();
      if (!this.#sleep(0)) return;
    }
  }

  #end(): void {
    const { course, failure, crash, shutdown } = this.#state;
    if (course === 'done') return;
    if (shutdown !== null) this.#rules.broken('a stop that comes to rest before its end');
    if (failure.kind !== 'none' || crash.kind !== 'none') this.#rules.broken('well, and yet not');
    this.#hear({ kind: 'stop', mode: this.#random.pick(['smart', 'fast', 'immediate']) });
    this.#world.clientsLeave(this.#state);
    this.#calm();
    if (!this.#isOver()) this.#rules.broken('the stop does not end');
    const last = this.#log.at(-1)?.event;
    const isClean =
      last?.kind === 'done' && last.action.kind === 'finish' && last.action.exitCode === 0;
    if (!isClean) this.#rules.broken('an orderly stop without exit status 0');
  }

  #isOver(): boolean {
    return this.#state.course === 'done';
  }

  #tail(): string {
    const bigints = (_: string, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value;
    const lines = this.#log
      .slice(-LOG_TAIL)
      .map(({ at, event }) => `${at.toFixed(3).padStart(16)} ${JSON.stringify(event, bigints)}`);
    const { workers, clients, ...rest } = this.#state;
    const backends = [...clients.backends.values()];
    const shown = { ...rest, workers: [...workers.values()], clients: { ...clients, backends } };
    const state = JSON.stringify(shown, bigints, 1);
    return [...lines, `state ${state}`].join('\n');
  }
}
