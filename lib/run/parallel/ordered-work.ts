// ordered-work.ts: inputs handed out to whoever is free, results handed back in the order of the
// inputs. It knows no process; its sides meet in take(), settle() and next().
//
// Backpressure: an input is asked for only when somebody is free to work on it, and when fewer than
// `ahead` are between the source and the consumer. So a slow consumer stops the workers, and a slow
// source just keeps them waiting. The first failure ends all of it.

export interface Work<Input> {
  readonly index: number;
  readonly input: Input;
}

type Outcome =
  | { readonly kind: 'going' }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** The consumer wants no more. */
  | { readonly kind: 'left' };

export class OrderedWork<Input, Result> {
  readonly #source: AsyncIterator<Input> | Iterator<Input>;
  readonly #ahead: number;
  /** By index: what is done and not handed back yet. */
  readonly #done = new Map<number, Result>();
  #taken = 0;
  #delivered = 0;
  #isDry = false;
  #outcome: Outcome = { kind: 'going' };
  /** Who takes next waits for who took before: a source is asked for one input at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #wakeAll: (() => void)[] = [];

  /** `ahead`: at least 1. */
  constructor(inputs: Iterable<Input> | AsyncIterable<Input>, ahead: number) {
    this.#source =
      Symbol.asyncIterator in inputs ? inputs[Symbol.asyncIterator]() : inputs[Symbol.iterator]();
    this.#ahead = ahead;
  }

  /** The next input, when there is one and room for its result; null: there will be none. */
  take(): Promise<Work<Input> | null> {
    const taken = this.#turn.then(() => this.#take());
    this.#turn = taken;
    return taken;
  }

  settle(index: number, result: Result): void {
    this.#done.set(index, result);
    this.#wake();
  }

  /** The first one counts. What the source still holds is let go of. */
  fail(error: unknown): void {
    this.#end({ kind: 'failed', error });
  }

  /** The consumer goes away. */
  leave(): void {
    this.#end({ kind: 'left' });
  }

  /** The result of the next input in order; done when all have been. Throws the first failure. */
  async next(): Promise<IteratorResult<Result, undefined>> {
    for (;;) {
      if (this.#outcome.kind === 'failed') throw this.#outcome.error;
      if (this.#done.has(this.#delivered)) {
        const value = this.#done.get(this.#delivered) as Result;
        this.#done.delete(this.#delivered);
        this.#delivered++;
        this.#wake();
        return { done: false, value };
      }
      const isOver = this.#isDry && this.#delivered === this.#taken;
      if (isOver || this.#outcome.kind === 'left') return { done: true, value: undefined };
      await this.#change();
    }
  }

  async #take(): Promise<Work<Input> | null> {
    while (this.#isGoing() && this.#taken - this.#delivered >= this.#ahead) await this.#change();
    if (!this.#isGoing() || this.#isDry) return null;
    try {
      const { done, value } = await this.#source.next();
      if (done === true) {
        this.#isDry = true;
        this.#wake();
        return null;
      }
      // The run may have ended meanwhile; then nobody wants it.
      return this.#isGoing() ? { index: this.#taken++, input: value } : null;
    } catch (error) {
      this.#isDry = true;
      this.fail(error);
      return null;
    }
  }

  #isGoing(): boolean {
    return this.#outcome.kind === 'going';
  }

  #end(outcome: Outcome): void {
    if (!this.#isGoing()) return;
    this.#outcome = outcome;
    this.#wake();
    if (this.#isDry) return;
    this.#isDry = true;
    // Not waited for: a generator that is asked for its next value ends only when it has it.
    void Promise.resolve(this.#source.return?.()).catch(() => {});
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakeAll.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#wakeAll.splice(0)) wake();
  }
}
