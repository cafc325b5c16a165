// barrier.ts: a place where processes wait for each other, phase by phase.
//
//     const sorted = server.shmem.barrier('sorted', { participants: 4 });
//     if (await sorted.arriveAndWait()) merge();                // in each of the four; one is elected
//
// Static: made for n participants, who are attached from the beginning and stay so. Dynamic: made
// for none; who comes attaches, learns the phase that the others are in, and detaches. A phase ends
// when all who are attached have arrived. Nobody detaches for a process that has gone: it does so
// itself, in a `finally`, or the others wait for ever. Whoever gave up his wait for the end of a
// phase has arrived in it all the same, until he detaches: then his arrival goes with him.

import { BgworkerError } from '../errors.ts';
import type { Attached } from './attached.ts';
import { placeWords } from './condition-variable.ts';
import * as messages from './messages.ts';
import { type BarrierPort, NO_NODE, RELEASED_ELECTED } from './port.ts';
import type { ThisProcess } from './this-process.ts';

/** sizeof(SharedBarrier); zero is a dynamic one. */
export const BARRIER_BYTES = 40;

/** As many as there can be processes. */
const PARTICIPANTS_MAX = 262_143;

export interface BarrierOptions {
  /** 0 to 262 143, as many as there can be processes. Default: 0, a dynamic barrier, to which processes
   *  attach. */
  readonly participants?: number;
}

export interface ArriveOptions {
  /** Its abort rejects the wait with the signal's reason; the process has arrived all the same. */
  readonly signal?: AbortSignal;
}

export class Barrier {
  readonly name: string;
  readonly #participants: number;
  #attached: Attached | null = null;
  #words: Int32Array | null = null;
  #takesPart: boolean;
  #isWaiting = false;
  /** The phase for whose end this process has given up to wait. */
  #arrivedIn: number | null = null;

  constructor(name: string, { participants = 0 }: BarrierOptions = {}) {
    this.name = name;
    this.#participants = participants;
    if (!Number.isInteger(participants) || participants < 0 || participants > PARTICIPANTS_MAX) {
      throw new BgworkerError(
        'ERR_INVALID_OPTION',
        messages.barrierParticipants(name, PARTICIPANTS_MAX, participants),
      );
    }
    this.#takesPart = this.isStatic;
  }

  /** By the wiring, in the one process that makes it, after bind(). */
  initialise(): void {
    const { port, words } = this.#bound();
    port.initBarrier(words, this.#participants);
  }

  /** By the wiring, after bind(), in a process that has found it. Throws if it is another one. */
  verify(): void {
    const { port, words } = this.#bound();
    const { isStatic, participants } = port.barrierState(words);
    const there = isStatic ? participants : 0;
    if (there === this.#participants) return;
    throw new BgworkerError(
      'ERR_INVALID_OPTION',
      messages.barrierIsOther(this.name, there, this.#participants),
    );
  }

  /** By the wiring, in an attached process: `byteOffset` of the SharedBarrier. */
  bind(attached: Attached, buffer: ArrayBufferLike, byteOffset: number): void {
    this.#words = placeWords(this.#what, buffer, byteOffset, BARRIER_BYTES);
    this.#attached = attached;
  }

  /** Before the memory is unmapped. */
  unbind(): void {
    this.#words = null;
    this.#attached = null;
  }

  get isStatic(): boolean {
    return this.#participants > 0;
  }

  /** Grows by one when all have arrived; wraps at 2^32. */
  get phase(): number {
    const { port, words } = this.#bound();
    return port.barrierState(words).phase;
  }

  /** How many take part now. */
  get participants(): number {
    const { port, words } = this.#bound();
    return port.barrierState(words).participants;
  }

  /**
   * Dynamic only (BarrierAttach). Gives the phase that the others are in.
   *
   * @throws BgworkerError ERR_WRONG_STATE for a static one, and if this process takes part already. The
   * verbs that detach: for a static one, if it does not, or while it waits.
   */
  attach(): number {
    const { port, words } = this.#dynamic('attach');
    if (this.#takesPart) this.#refuse(messages.barrierAttachedTwice(this.name));
    const phase = port.attachBarrier(words);
    this.#takesPart = true;
    return phase;
  }

  /** Dynamic only (BarrierDetach). true: this was the last to leave. May release those who wait. */
  detach(): boolean {
    return this.#leave('detach', ({ port, words }, arrivedIn) =>
      port.detachBarrier(words, arrivedIn),
    );
  }

  /** Arrives without waiting, and leaves (BarrierArriveAndDetach). true: the last to leave. */
  arriveAndDetach(): boolean {
    return this.#leave('arriveAndDetach', ({ port, words }, arrivedIn) =>
      port.arriveAndDetach(words, arrivedIn),
    );
  }

  /**
   * Leaves, unless it is the last one: then it stays attached, the next phase begins, and the answer
   * is true (BarrierArriveAndDetachExceptLast).
   */
  arriveAndDetachExceptLast(): boolean {
    const isLast = this.#leave('arriveAndDetachExceptLast', ({ port, words }, arrivedIn) =>
      port.arriveAndDetachExceptLast(words, arrivedIn),
    );
    this.#takesPart = isLast;
    return isLast;
  }

  /**
   * Waits on the event loop until all have arrived (BarrierArriveAndWait). true in exactly one of
   * them, in each phase.
   *
   * @throws BgworkerError ERR_WRONG_STATE if this process does not take part, waits there already or
   * has arrived in this phase, or the memory goes, or the postmaster is dead; the signal's reason.
   */
  async arriveAndWait({ signal }: ArriveOptions = {}): Promise<boolean> {
    signal?.throwIfAborted();
    const { port, words, process } = this.#arriving();
    const arrival = new Arrival(port, words);
    const use = process.uses.begin(words.buffer, () => arrival.forget());
    const isOver = () => {
      use.check();
      if (!arrival.isOver()) return false;
      use.done();
      return true;
    };
    const { phase } = port.barrierState(words);
    this.#isWaiting = true;
    try {
      const end = await process.waits.until(isOver, { signal });
      if (end === 'postmasterDeath') this.#refuse(messages.postmasterDied);
      return arrival.isElected;
    } finally {
      this.#isWaiting = false;
      // Unless it found no place to wait in.
      if (arrival.hasArrived && !arrival.hasEnded) this.#arrivedIn = phase;
      use.end();
    }
  }

  /** The same, blocking this thread and its event loop; no signal ends it. */
  arriveAndWaitSync(): boolean {
    const { port, words } = this.#arriving();
    const arrived = port.arriveAndWait(words);
    if (arrived === 'postmasterDied') this.#refuse(messages.postmasterDied);
    return arrived === 'elected';
  }

  #leave(verb: string, act: (bound: Bound, arrivedIn: number | undefined) => boolean): boolean {
    const bound = this.#dynamic(verb);
    this.#requirePart();
    const isLast = act(bound, this.#arrivedIn ?? undefined);
    this.#takesPart = false;
    this.#arrivedIn = null;
    return isLast;
  }

  #dynamic(verb: string): Bound {
    const bound = this.#bound();
    if (this.isStatic) this.#refuse(messages.barrierIsStatic(this.name, verb));
    return bound;
  }

  /** Whoever arrives, or leaves, takes part and does not wait. */
  #requirePart(): void {
    if (!this.#takesPart) this.#refuse(messages.barrierNotAttached(this.name));
    if (this.#isWaiting) this.#refuse(messages.barrierWaiting(this.name));
  }

  /** Whoever arrives has not done so in this phase. */
  #arriving(): Bound {
    const bound = this.#bound();
    this.#requirePart();
    const { phase } = bound.port.barrierState(bound.words);
    if (this.#arrivedIn === phase) this.#refuse(messages.barrierArrivedTwice(this.name));
    this.#arrivedIn = null;
    return bound;
  }

  #refuse(sentence: string): never {
    throw new BgworkerError('ERR_WRONG_STATE', sentence);
  }

  get #what(): string {
    return `barrier "${this.name}"`;
  }

  #bound(): Bound {
    if (this.#attached === null || this.#words === null) {
      return this.#refuse(messages.notAttached(this.#what));
    }
    const { port, process } = this.#attached;
    return { port, process, words: this.#words };
  }
}

interface Bound {
  readonly port: BarrierPort;
  readonly process: ThisProcess;
  readonly words: Int32Array;
}

/** One arrival on the event loop. Without a free wait node it begins when another wait has ended. */
class Arrival {
  readonly #port: BarrierPort;
  readonly #words: Int32Array;
  #wait: number = NO_NODE;
  #state: 'waiting' | 'elected' | 'notElected' = 'waiting';

  constructor(port: BarrierPort, words: Int32Array) {
    this.#port = port;
    this.#words = words;
  }

  get isElected(): boolean {
    return this.#state === 'elected';
  }

  get hasEnded(): boolean {
    return this.#state !== 'waiting';
  }

  get hasArrived(): boolean {
    return this.#wait !== NO_NODE;
  }

  /** Asked after each wake. */
  isOver(): boolean {
    if (this.#wait >= 0) this.#state = this.#port.arrivalState(this.#wait);
    else this.#wait = this.#port.beginArrival(this.#words);
    if (this.#wait === RELEASED_ELECTED) this.#state = 'elected';
    return this.hasEnded;
  }

  /** Waits no longer. */
  forget(): void {
    if (this.#wait >= 0) this.#port.forgetArrival(this.#wait);
  }
}
