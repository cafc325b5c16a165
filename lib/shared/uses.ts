// uses.ts: the waits under way, by the memory in which lies what they wait for.
//
// A wait has a node in a list in shared memory. Before that memory is unmapped, by the detach of a
// segment or by the exit, the node must be out of the list: at once, not when the promise's turn
// comes. So every wait says here how it is called off; whoever unmaps calls it off.
//
// A process has so many nodes and no more. Who finds none stands in no list, and nobody rings for
// him: so whenever a wait is called off, the others look again.

import { BgworkerError } from '../errors.ts';
import { hasLeft } from './messages.ts';

export class Use {
  readonly buffer: ArrayBufferLike;
  #callOff: (() => void) | null;
  readonly #forget: (use: Use) => void;
  readonly #calledOff: () => void;

  constructor(
    buffer: ArrayBufferLike,
    callOff: () => void,
    { forget, calledOff }: { forget(use: Use): void; calledOff(): void },
  ) {
    this.buffer = buffer;
    this.#callOff = callOff;
    this.#forget = forget;
    this.#calledOff = calledOff;
  }

  /** In each look of the wait: throws once the memory has gone. */
  check(): void {
    if (this.#callOff === null) throw new BgworkerError('ERR_WRONG_STATE', hasLeft);
  }

  /** Calls the wait off, if it has not ended yet. Idempotent. */
  end(): void {
    const callOff = this.#callOff;
    this.#callOff = null;
    this.#forget(this);
    if (callOff === null) return;
    callOff();
    this.#calledOff();
  }

  /** It has come to what it waited for: there is nothing to be called off. */
  done(): void {
    this.#callOff = null;
    this.#forget(this);
  }
}

export class Uses {
  readonly #uses = new Set<Use>();
  readonly #calledOff: () => void;

  /** `calledOff`: a wait node has become free, and this is not a turn in which all look anyway. */
  constructor(calledOff: () => void) {
    this.#calledOff = calledOff;
  }

  /** `callOff` takes the wait out of its list, and is called once at most. */
  begin(buffer: ArrayBufferLike, callOff: () => void): Use {
    const forget = (gone: Use) => void this.#uses.delete(gone);
    const use = new Use(buffer, callOff, { forget, calledOff: this.#calledOff });
    this.#uses.add(use);
    return use;
  }

  /** Before this memory goes. Who waited hears of it when he looks: waits.look(). */
  endWithin(buffer: ArrayBufferLike): void {
    for (const use of [...this.#uses]) if (use.buffer === buffer) use.end();
  }

  endAll(): void {
    for (const use of [...this.#uses]) use.end();
  }
}
